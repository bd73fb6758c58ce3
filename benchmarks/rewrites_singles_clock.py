"""Times settings and rewrites of one task's seed on this machine's GPU; rewrites_singles.py runs a process for each.

    python benchmarks/rewrites_singles_clock.py [--rows rows.jsonl] TASK

Programs are compiled first, by launches that Triton ends before the device is asked for anything; then they take turns
at the clock of native_clock.py, alone on the device. How far a result is from the seed's is the norm of the difference
over that of the seed's, the worst of its outputs.
"""

import argparse
import json
import math
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import native_clock  # beside this file, as rewrites_... are
import rewrites_search_peers
import torch
import triton
from rewrites_singles_variants import Variant, best_programs, variants
from triton.runtime import JITFunction

from fitness import yardstick
from fitness.gpu import discover
from fitness.gpu.turns import Turns
from operators.rewrites.kinds import kind
from suites import Case, Task, load
from suites.trials import BASE, Trial, draw

CALLS, WARM = 9, 1
SEED = 1  # of the inputs
DEVICE = native_clock.DEVICE

Row = dict[str, Any]
Function = Callable[..., Any]


def measured(task: Task, older: Mapping[str, str]) -> Row:
    """Compile all programs for every case, then time them case by case."""
    if discover.own_target() is None:
        sys.exit("this needs a GPU that evo-kernel knows")
    native_clock.prepare()
    turns, programs = Turns(discover.place(DEVICE, 0)), variants(task.seeds[0].source, older)
    row: Row = {"task": task.name, "kind": kind(task.seeds[0].source), "device": torch.cuda.get_device_name(),
                "torch": torch.__version__, "triton": triton.__version__, "cases": [case.name for case in task.cases],
                "variants": [told(program) for program in programs]}  # fmt: skip
    with tempfile.TemporaryDirectory() as scratch:
        functions = [imported(task, p.source, Path(scratch), r) for p, r in zip(programs, row["variants"], strict=True)]
        every = list(zip(functions, row["variants"], strict=True))
        for case in task.cases:
            print(f"compiling for {case.name}", file=sys.stderr, flush=True)  # the last of it is told if time runs out
            compile_all(case, every, turns)
        for case in task.cases:
            print(f"timing {case.name}", file=sys.stderr, flush=True)
            with turns.alone():
                time_all(case, every)
            torch.cuda.empty_cache()
    return row


def told(variant: Variant) -> Row:
    """Return what a row says of a program that was not timed yet."""
    return {"base": variant.base, "families": list(variant.families), "place": variant.place, "times": [], "err": []}


def imported(task: Task, source: str, scratch: Path, found: Row) -> Function | None:
    """Return the launcher of a program, none where it cannot be imported."""
    with noting(found):
        made: Function = getattr(rewrites_search_peers.imported(source, scratch), task.entry)
        return made
    return None


@contextmanager
def noting(found: Row) -> Iterator[None]:
    """Write down what a program raises; a fault of the device ends the process, for nothing runs there after it."""
    try:
        yield
    except Exception as error:
        if isinstance(error, torch.AcceleratorError) or "illegal" in str(error):
            raise
        found["failed"] = native_clock.said(error)


@contextmanager
def only_compiling() -> Iterator[None]:
    """Have launches compile and not run."""
    launch = JITFunction.run

    def compiled(kernel: Any, *args: Any, **options: Any) -> Any:
        return launch(kernel, *args, **(options | {"warmup": True}))

    JITFunction.run = compiled
    try:
        yield
    finally:
        JITFunction.run = launch


def compile_all(case: Case, every: Sequence[tuple[Function | None, Row]], turns: Turns) -> None:
    """Compile every program for a case, beside others who compile."""
    with turns.together():
        values = inputs(case)
    with only_compiling():
        for function, found in every:
            if function is not None and "failed" not in found:
                with turns.together(), noting(found):
                    function(*values)
    del values
    torch.cuda.empty_cache()


def time_all(case: Case, every: Sequence[tuple[Function | None, Row]]) -> None:
    """Run every program once for its result, then all in turn for their times."""
    values, seed, runs = inputs(case), None, {}
    for number, (function, found) in enumerate(every):
        if function is None or "failed" in found:
            continue
        with noting(found):
            made = yardstick.outputs(function(*(yardstick.copied(v) for v in values)))
            seed = made if seed is None else seed
            found["err"].append(max(far(a, b) for a, b in zip(made, seed, strict=True)))
            runs[str(number)] = partial(function, *values)
        if seed is None:
            sys.exit(f"the seed itself failed: {found['failed']}")
    for key, us in native_clock.clock(runs, rounds=CALLS, warm=WARM).items():
        every[int(key)][1]["times"].append(us)


def inputs(case: Case) -> list[Any]:
    """Draw a case's inputs."""
    return list(draw(Trial(BASE, case.name, case.inputs), SEED, DEVICE).values())


def far(made: torch.Tensor, seed: torch.Tensor) -> float:
    """Return the norm of what differs over that of the seed's result; equal infinities do not differ."""
    if made.shape != seed.shape:
        return math.inf
    made, seed = made.double(), seed.double()
    same = (made == seed) | (made.isnan() & seed.isnan())
    off = (made - seed).masked_fill(same, 0.0).norm()
    whole = seed.masked_fill(~seed.isfinite(), 0.0).norm()
    error = float(off / whole) if whole else float(off)
    return math.inf if math.isnan(error) else error


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("task")
    parser.add_argument("--rows", type=Path, help="of rewrites_search.py: its best programs are bases too")
    given = parser.parse_args()
    print(json.dumps(measured(load(given.task), best_programs(given.rows, given.task))))
