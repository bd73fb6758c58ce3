"""Times native tasks' seeds beside PyTorch on this machine's GPU, and judges seeds and honest banks at full size there.

All that runs here is this repository's own code, so one process does it. The clock: events around one call, after a
write of 512 MiB that empties the cache and hides what launching costs the host; seed, eager and compiled PyTorch take
turns in random order, and the median of each counts.
"""

import importlib.util
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from fitness import roofline, yardstick
from fitness.gpu import compare, discover
from suites import Case, Task
from suites.loading import Functions, functions
from suites.trials import BASE, Trial, draw, trials

ROUNDS, WARM = 15, 3
FLUSH = 1 << 29  # bytes
DEVICE = "cuda"

Row = dict[str, Any]


def measured(task: Task) -> Row:
    """Judge the seed and the bank of one task on every case and held-out case, and time it on the public ones."""
    target = discover.own_target()
    if target is None:
        sys.exit("this needs a GPU that evo-kernel knows")
    # the bank is honest arithmetic, as it is for the judge: sums of 16-bit products in float32
    torch.backends.cuda.matmul.allow_fp16_reduced_precision_reduction = False
    torch.backends.cuda.matmul.allow_bf16_reduced_precision_reduction = False
    own, ceilings = functions(task), roofline.of_sheet(target)
    row: Row = {"task": task.name, "level": task.level, "device": torch.cuda.get_device_name(), "cases": []}
    with tempfile.TemporaryDirectory() as folder:
        seed = launcher(task, Path(folder))
        for case in (*task.cases, *task.held_out):
            began = time.monotonic()
            found = judged(task, own, seed, case)
            if case in task.cases:
                found |= timed(own, seed, case) | {"roofline_us": roofline.roofline(case, ceilings).time_us}
            row["cases"].append({"case": case.name, "held_out": case in task.held_out, **found})
            row["cases"][-1]["seconds"] = round(time.monotonic() - began, 1)
            torch.cuda.empty_cache()
    return row


def launcher(task: Task, folder: Path) -> Callable[..., Any]:
    """Import a task's first seed from a file, where Triton can read its kernels."""
    path = folder / f"seed_{task.name}.py"
    path.write_text(task.seeds[0].source, encoding="utf-8")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"cannot import {path}")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    made: Callable[..., Any] = getattr(module, task.entry)
    return made


def judged(task: Task, own: Functions, seed: Callable[..., Any], case: Case) -> Row:
    """Return the largest error of the seed, and of each honest implementation by the others' limits, over its limit."""
    base, *_ = trials(task, case, small=False)
    values = draw(base, 1, DEVICE)

    def error(function: Callable[..., Any], without: str | None) -> float:
        limits = yardstick.compute(own, values, base, DEVICE, without=without, measure=compare.errors)
        made = yardstick.outputs(function(*(yardstick.copied(v) for v in values.values())))
        return max(yardstick.ratio(limit, out)[0] for limit, out in zip(limits, made, strict=True))

    bank = {name: error(f, name) for name, f in (("reference", own.reference), *own.honest)}
    return {"seed_error": error(seed, None), "bank_error": max(bank.values()), "bank": bank}


def timed(own: Functions, seed: Callable[..., Any], case: Case) -> Row:
    """Time the seed, the fastest PyTorch of the bank, and that compiled, on one case."""
    values = list(draw(Trial(BASE, case.name, case.inputs), 1, DEVICE).values())
    bank = {"reference": own.reference, **dict(own.honest)}
    alone = {name: clock({"it": lambda f=f: f(*values)}, rounds=3)["it"] for name, f in bank.items()}
    best = min(alone, key=lambda name: alone[name])
    runs: dict[str, Callable[[], Any]] = {"seed": lambda: seed(*values), "eager": lambda: bank[best](*values)}
    refusal = None
    try:
        torch._dynamo.reset()
        compiled = torch.compile(bank[best], dynamic=False)
        compiled(*values)
        runs["compiled"] = lambda: compiled(*values)
    except Exception as error:  # the compiler may raise anything; the table says what
        refusal = f"{type(error).__name__}: {str(error).splitlines()[0][:80]}" if str(error) else type(error).__name__
    return {"us": clock(runs), "eager": best, "refusal": refusal}


def clock(runs: Mapping[str, Callable[[], Any]], rounds: int = ROUNDS) -> dict[str, float]:
    """Return the median microseconds of each, taken in turn."""
    flush = torch.empty(FLUSH, dtype=torch.uint8, device=DEVICE)
    took: dict[str, list[float]] = {name: [] for name in runs}
    for number in range(WARM + rounds):
        for name in random.sample(sorted(runs), len(runs)):
            start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            flush.fill_(number)
            start.record()
            runs[name]()
            end.record()
            torch.cuda.synchronize()
            if number >= WARM:
                took[name].append(1e3 * start.elapsed_time(end))
    return {name: statistics.median(times) for name, times in took.items()}


def told(row: Row) -> str:
    """Say in one line what became of one task."""
    wrong = [c["case"] for c in row["cases"] if c["seed_error"] > 1 or c["bank_error"] > 1]
    return f"{row['task']:<22} {'WRONG: ' + ', '.join(wrong) if wrong else 'right'}   {_line(row)}"


def markdown(rows: list[Row]) -> str:
    """Return the table of all tasks: geometric means over the public cases."""
    head = (
        "| task | level | seed us | eager us | compiled us | eager / seed | seed of roofline | right |\n|---|"
        + "---|" * 7
    )
    return "\n".join([head, *(f"| {row['task']} | {row['level']} | {_cells(row)} |" for row in rows)]) + "\n"


def _line(row: Row) -> str:
    return ", ".join(f"{what} {cell}" for what, cell in zip(_COLUMNS, _cells(row).split(" | "), strict=True))


_COLUMNS = ("seed us", "eager us", "compiled us", "eager / seed", "of roofline", "cases right")


def _cells(row: Row) -> str:
    """Return a task's figures as cells."""
    cases = [c for c in row["cases"] if "us" in c]
    right = sum(c["seed_error"] <= 1 and c["bank_error"] <= 1 for c in row["cases"])
    seed, eager, floor = (
        statistics.geometric_mean(v)
        for v in (
            [c["us"]["seed"] for c in cases],
            [c["us"]["eager"] for c in cases],
            [c["roofline_us"] for c in cases],
        )
    )
    compiled = [c["us"]["compiled"] for c in cases if "compiled" in c["us"]]
    whole = (
        f"{statistics.geometric_mean(compiled):.1f}"
        if len(compiled) == len(cases)
        else f"- ({len(compiled)} of {len(cases)})"
    )
    return (
        f"{seed:.1f} | {eager:.1f} | {whole} | {eager / seed:.2f} | {floor / seed:.0%} | {right} of {len(row['cases'])}"
    )
