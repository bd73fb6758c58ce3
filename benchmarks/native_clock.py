"""Times a native task's seed beside PyTorch on this machine's GPU, and judges seed and honest bank at full size there.

    python benchmarks/native_clock.py TASK

prints one row; native_tasks.py runs one process for each task, several side by side, so that a fault on the device ends
one task alone. They judge and compile together and take turns at the clock, each alone on the device. The clock: events
around one call, after a pause of the device, which hides what launching costs the host, and a write of 512 MiB, which
empties the cache; seed, eager and compiled PyTorch take turns in random order, and the median of each counts. All code
that runs is this repository's.
"""

import importlib.util
import json
import random
import signal
import statistics
import sys
import tempfile
import time
import types
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import torch
import triton

from fitness import roofline, yardstick
from fitness.gpu import compare, discover
from fitness.gpu.turns import Turns
from suites import Case, Task, load
from suites.loading import Functions, functions
from suites.trials import BASE, Trial, draw, trials

ROUNDS, WARM = 15, 3
FLUSH = 1 << 29  # bytes
AHEAD = 2_000_000  # clocks of the device, about a millisecond
COMPILING, AGAIN = 30.0, 1.0  # seconds for the compiler on one case, and between reminders, for it may catch the first
DEVICE = "cuda"

Row = dict[str, Any]
Run = Callable[[], Any]


def measured(task: Task) -> Row:
    """Judge the seed and the bank of one task on every case and held-out case, and time it on the public ones."""
    target = discover.own_target()
    if target is None:
        sys.exit("this needs a GPU that evo-kernel knows")
    prepare()
    own, turns = functions(task), Turns(discover.place(DEVICE, 0))
    importable(own)
    versions = {"torch": torch.__version__, "triton": triton.__version__}
    row: Row = {"task": task.name, "level": task.level, "device": torch.cuda.get_device_name(), **versions}
    ceilings = roofline.of_sheet(target)
    with tempfile.TemporaryDirectory() as folder:
        seed = launcher(task, Path(folder))
        row["cases"] = [_found(task, own, seed, case, turns) for case in (*task.cases, *task.held_out)]
        for case, found in zip(task.cases, row["cases"], strict=False):
            found["roofline_us"] = roofline.roofline(case, ceilings).time_us
        _time(task, own, seed, row, turns)
    return row


def prepare() -> None:
    """Make torch's sums of 16-bit products as the judge's, and give Triton memory for descriptors."""
    torch.backends.cuda.matmul.allow_fp16_reduced_precision_reduction = False
    torch.backends.cuda.matmul.allow_bf16_reduced_precision_reduction = False
    triton.set_allocator(lambda size, align, stream: torch.empty(size, dtype=torch.int8, device=DEVICE))


def importable(own: Functions) -> None:
    """Let torch's compiler import the module that a task's functions say they are of; the judge never does this."""
    scope = own.reference.__globals__
    module = types.ModuleType(scope["__name__"])
    module.__dict__.update(scope)
    sys.modules[module.__name__] = module


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


def _found(task: Task, own: Functions, seed: Callable[..., Any], case: Case, turns: Turns) -> Row:
    """Judge one case; where memory is short beside the others, once more alone."""
    row: Row = {"case": case.name, "held_out": case in task.held_out}
    _tell(f"judging {case.name}")
    try:
        try:
            with turns.together():
                return row | judged(task, own, seed, case)
        except torch.OutOfMemoryError:
            torch.cuda.empty_cache()
            with turns.alone():
                return row | judged(task, own, seed, case)
    except Exception as error:  # whatever it is, the other cases and tasks are to be seen
        return row | {"failed": said(error)}
    finally:
        torch.cuda.empty_cache()


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


def _time(task: Task, own: Functions, seed: Callable[..., Any], row: Row, turns: Turns) -> None:
    """Time the seed, the fastest PyTorch of the bank, and that compiled, on the public cases."""
    bank = {"reference": own.reference, **dict(own.honest)}
    public = [(case, found) for case, found in zip(task.cases, row["cases"], strict=False) if "failed" not in found]
    with turns.alone():
        for case, found in public:
            _tell(f"timing {case.name}")
            values = _values(case)
            found["bank_us"] = clock({name: partial(f, *values) for name, f in bank.items()}, rounds=1, warm=1)
            found["eager"] = min(bank, key=lambda name: found["bank_us"][name])
            found["us"] = clock({"seed": partial(seed, *values), "eager": partial(bank[found["eager"]], *values)})
    row["refused"] = "compiling took the rest of its time"
    print(json.dumps(row), flush=True)  # what stands if compiling never ends
    del row["refused"]
    compiled = _compile(public, bank, turns)
    with turns.alone():
        for case, found in public:
            if case.name not in compiled:
                continue
            _tell(f"timing {case.name}, compiled")
            values, eager = _values(case), bank[found["eager"]]
            runs = {"seed": seed, "eager": eager, "compiled": compiled[case.name]}
            found["us"] = clock({name: partial(f, *values) for name, f in runs.items()})


def _compile(
    public: list[tuple[Case, Row]], bank: Mapping[str, Callable[..., Any]], turns: Turns
) -> dict[str, Callable[..., Any]]:
    """Return what is compiled by case; a compiler that took too long on one case is not waited for on others."""
    compiled: dict[str, Callable[..., Any]] = {}
    late = ""
    for case, found in public:
        began = time.monotonic()
        _tell(f"compiling {found['eager']} for {case.name}")
        with turns.together():
            made = _compiled(bank[found["eager"]], case) if not late else f"not tried: {late}"
        late = made if isinstance(made, str) and "not compiled after" in made and not late else late
        found["seconds compiling"] = round(time.monotonic() - began, 1)
        if isinstance(made, str):
            found["refusal"] = made
        else:
            compiled[case.name] = made
        torch.cuda.empty_cache()
    return compiled


def _values(case: Case) -> list[Any]:
    return list(draw(Trial(BASE, case.name, case.inputs), 1, DEVICE).values())


def _compiled(function: Callable[..., Any], case: Case) -> Callable[..., Any] | str:
    """Return what torch's compiler makes of a function for one case, or why there is nothing."""
    made = torch.compile(function, dynamic=False)
    try:
        with _at_most(COMPILING):
            made(*_values(case))
            torch.cuda.synchronize()
    except Exception as error:  # the compiler may raise anything; the table says what
        return said(error)
    return made


@contextmanager
def _at_most(seconds: float) -> Iterator[None]:
    """Raise TimeoutError within, once the time is up."""

    def stop(*_: Any) -> None:
        raise TimeoutError(f"not compiled after {seconds:.0f} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds, AGAIN)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def clock(runs: Mapping[str, Run], rounds: int = ROUNDS, warm: int = WARM) -> dict[str, float]:
    """Return the median microseconds of each, taken in turn."""
    flush = torch.empty(FLUSH, dtype=torch.uint8, device=DEVICE)
    took: dict[str, list[float]] = {name: [] for name in runs}
    for number in range(warm + rounds):
        for name in random.sample(sorted(runs), len(runs)):
            start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            torch.cuda._sleep(AHEAD)
            flush.fill_(number)
            start.record()
            runs[name]()
            end.record()
            torch.cuda.synchronize()
            if number >= warm:
                took[name].append(1e3 * start.elapsed_time(end))
    return {name: statistics.median(times) for name, times in took.items()}


def _tell(what: str) -> None:
    """Say what is begun: the last of it is told of a process that is ended."""
    print(what, file=sys.stderr, flush=True)


def said(error: BaseException) -> str:
    """Say in a line what was raised: compilers put the place first and the reason last."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    ends = " ... ".join(line[:120] for line in dict.fromkeys([*lines[:1], *lines[-1:]]))
    return f"{type(error).__name__}: {ends}" if ends else type(error).__name__


if __name__ == "__main__":
    print(json.dumps(measured(load(sys.argv[1]))))
