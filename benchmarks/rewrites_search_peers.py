"""Times torch beside a task's seed and the best programs that searches found, on one clock.

Torch is a task's reference, eager and compiled, and where that computes in float32 also what a person would call.

The clock is that of open mode: a cold cache, inputs in turn, a pair of events around each call, so a launch from Python
is hidden behind work of the device as long as it can be. Programs run here as a person would call them.
"""

import contextlib
import importlib.util
import json
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import torch
import torch_calls  # beside this file
import triton
from rewrites_search_row import unpacked

from archives.candidate import fingerprint
from fitness import targets
from fitness.gpu import discover
from fitness.gpu.turns import Turns
from fitness.jobs.open import Clock
from suites import Task, load

COMPILED = {"compiled": "max-autotune", "compiled, no graphs": "max-autotune-no-cudagraphs"}
BEST = "best of rewrites"
CALL = "call"  # what a person would call, where the reference computes in float32
SEED = 0  # of the inputs
AGAIN = 5.0  # seconds after which a compiler that went on hears again that its time is up


class Late(BaseException):
    """The time for one compiler is up: no Exception, which compilers catch to go on with another choice."""


def run(file: Path, rows: list[dict[str, Any]], tasks: list[str], target: str, minutes: float, patience: float,
        calls: bool) -> None:  # fmt: skip
    """Time every task that has no rows yet for all that stands beside its best programs, and add them to the file.

    What is compared was timed in one process on one device: a task that the time cut short, or whose best program is
    another one by now, is timed again as a whole. With `calls` torch's calls alone are, beside the best programs: the
    row of a call has their times. A compiler has so many seconds for a task.
    """
    if not torch.cuda.is_available():
        raise SystemExit("this compares programs on a GPU: there is none here")
    until = time.monotonic() + 60 * minutes
    done = {(r["task"], r["what"], r["program"]) for r in rows if r["kind"] == "peer"}
    turns, cache = Turns(discover.place("cuda", 0)), targets.find(target).cache_mb << 20
    own = {"kind": "peer", "device": torch.cuda.get_device_name(), "torch": torch.__version__,
           "triton": triton.__version__}  # fmt: skip
    with tempfile.TemporaryDirectory() as scratch:
        for name in tasks:
            task = load(name)
            beside = list(wanted(task, rows, Path(scratch)))
            if calls:
                beside = [one for one in beside if one[0] in (BEST, CALL)]
            if {(name, what, program) for what, program, _ in beside if not calls or what == CALL} <= done:
                continue
            if time.monotonic() > until:
                print("the time is up: call again")
                return
            timed_now: dict[str, dict[str, Any]] = {}
            for what, program, make in beside:
                began = time.monotonic()
                with turns.alone():
                    found = timed(task, make, cache, patience)
                row = {**own, "task": name, "what": what, "program": program, "cases": found,
                       "seconds": time.monotonic() - began}  # fmt: skip
                if what == CALL:
                    row |= {"error": torch_calls.error(task, "cuda"), "beside": timed_now[BEST]["cases"]}
                timed_now[what] = row
                print(f"{name:<22} {what:<20} {found}  {row['seconds']:.1f} s", flush=True)
            told = [timed_now[CALL]] if calls else timed_now.values()
            with file.open("a") as opened:
                opened.writelines(json.dumps(row) + "\n" for row in told)


def wanted(task: Task, rows: list[dict[str, Any]], scratch: Path) -> Iterator[tuple[str, str, Callable]]:
    """Yield what is timed of a task: what it is called, which program it is, and what makes its launcher."""
    yield "seed", "", partial(launcher, task, task.seeds[0].source, scratch)
    yield "eager", "", partial(reference, task, scratch)
    for arm in ("rewrites", "tuner"):
        found = [r for r in rows if (r["kind"], r.get("task"), r.get("arm")) == ("search", task.name, arm)]
        best = min(found, key=lambda r: r["ratio"][0], default=None)
        if best is not None:
            source = unpacked(best["source"])
            yield f"best of {arm}", fingerprint(source), partial(launcher, task, source, scratch)
    if task.name in torch_calls.CALLS:
        yield CALL, "", lambda: torch_calls.CALLS[task.name]
    for what, mode in COMPILED.items():
        yield what, "", partial(compiled, task, mode, scratch)


def compiled(task: Task, mode: str, scratch: Path) -> Callable[..., Any]:
    """Return a task's reference as torch's compiler makes it, for sizes that do not change."""
    torch._dynamo.reset()
    return torch.compile(reference(task, scratch), mode=mode, dynamic=False)


def launcher(task: Task, source: str, scratch: Path) -> Callable[..., Any]:
    """Import a program and return its launcher."""
    return getattr(imported(source, scratch), task.entry)


def reference(task: Task, scratch: Path) -> Callable[..., Any]:
    """Return a task's reference, with what stands beside it in its file."""
    return imported(task.source, scratch).reference


def imported(source: str, scratch: Path) -> Any:
    """Import a source as a file of its own: Triton and torch's compiler both want one."""
    path = scratch / f"program_{len(list(scratch.glob('*.py')))}.py"
    path.write_text(source)
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = sys.modules[path.stem] = importlib.util.module_from_spec(spec)  # torch's compiler imports it by its name
    spec.loader.exec_module(module)
    return module


def timed(task: Task, make: Callable[[], Callable[..., Any]], cache: int, patience: float) -> dict[str, Any]:
    """Return the median microseconds of every case, or why there are none."""
    found: dict[str, Any] = {}
    with contextlib.suppress(Late), patient(patience):
        for case in task.cases:
            try:
                found[case.name] = Clock("cuda").time(make(), case.name, case.inputs, SEED, cache)[0]
            except Exception as error:  # a compiler that gives up is a finding, not the end
                found[case.name] = f"{type(error).__name__}: {error}"[:300]
            torch.cuda.empty_cache()
    return {case.name: found.get(case.name, f"not compiled in {patience:.0f} s") for case in task.cases}


@contextlib.contextmanager
def patient(seconds: float) -> Iterator[None]:
    """Raise Late in what is done inside after so many seconds, and again while it goes on."""

    def late(*_: Any) -> None:
        raise Late

    before = signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, seconds, AGAIN)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
