"""Judges a program by another suite's own test and tolerance: what published numbers were made with.

The reference and the program run in children of their own, with equal seeds. Where both are one text the second begins
with what Triton compiled for the first; else nothing goes from one to the other. What their tests leave comes back as
data and is compared here, so nothing that a program prints, and no way of ending, makes it right. It is open mode all
the same: the program runs beside the test, and can hand in what it did not compute.
"""

from dataclasses import dataclass
from typing import Any

from fitness import results, wire
from fitness.child import Limits
from fitness.jail import Jail, Outcome
from fitness.references import beside
from fitness.results import Unlike
from fitness.words import message
from suites.foreign import Loaded, rules


@dataclass(frozen=True, slots=True)
class Theirs:
    """What a suite's own test says of one program; `passed` is None where its reference gives nothing to compare."""

    name: str
    called: bool
    passed: bool | None
    why: str  # empty where it passed
    seconds: float
    device: str  # what it ran on
    mode: str = "untrusted-host"
    flagged: bool = False  # its test passes a program that launches nothing too, or zeros; asked of what passes


@dataclass(frozen=True, slots=True)
class Ran:
    """What a suite's tests left with one program, or why there is nothing."""

    left: object
    seconds: float
    failed: str = ""


def judge(task: Loaded, source: str, jail: Jail, seconds: float, visible: str | None = None, device: str = "interpreter"
          ) -> Theirs:  # fmt: skip
    """Run a suite's test on its reference and on a program; `visible` names a GPU to run on, None the interpreter."""
    if source == task.source:
        return verdict(task, *run_twice(task, jail, seconds, visible), device)
    right = run(task, task.source, jail, seconds, visible)
    made = Ran(None, 0.0) if right.failed else run(task, source, jail, seconds, visible)
    return verdict(task, right, made, device)


def verdict(task: Loaded, right: Ran, made: Ran, device: str) -> Theirs:
    """Compare what a suite's tests left with its reference and with a program."""
    took = right.seconds + made.seconds
    if right.failed:
        return Theirs(task.name, False, None, f"the suite's own reference fails: {right.failed}", took, device)
    if made.failed:
        return Theirs(task.name, False, False, made.failed, took, device)
    if not rules.same(task.style, right.left, right.left, dict(task.thresholds)):
        why = "their comparison does not take the reference for right: its results hold NaN, or it compares nothing"
        return Theirs(task.name, True, None, why, took, device)
    passed = rules.same(task.style, right.left, made.left, dict(task.thresholds))
    return Theirs(task.name, True, passed, "" if passed else "its results differ from the reference's", took, device)


def run(task: Loaded, source: str, jail: Jail, seconds: float, visible: str | None) -> Ran:
    """Run a suite's tests on one program."""
    return _ran(outcome(task, source, jail, seconds, visible))


def outcome(task: Loaded, source: str, jail: Jail, seconds: float, visible: str | None, idle: bool = False) -> Outcome:
    """Run a suite's tests on one program, or `idle` on one that launches nothing; return what its child said."""
    job, given, limits = _asked(task, source, seconds, visible)
    return jail.run(job, {**given, "idle": idle}, limits)


def passes_idle(task: Loaded, source: str, right: Ran, jail: Jail, seconds: float, visible: str | None) -> bool:
    """Tell whether a suite's test passes a program that launches nothing: then its kernels make no result."""
    made = _ran(outcome(task, source, jail, seconds, visible, True))
    return not made.failed and rules.same(task.style, right.left, made.left, dict(task.thresholds))


def run_twice(task: Loaded, jail: Jail, seconds: float, visible: str | None) -> tuple[Ran, Ran]:
    """Run a suite's tests on its reference, and again with what was compiled for it: for a program of the same text."""
    right, made = jail.run_twice(*_asked(task, task.source, seconds, visible))
    return _ran(right), Ran(None, 0.0) if made is None else _ran(made)


def _asked(task: Loaded, source: str, seconds: float, visible: str | None) -> tuple[str, dict[str, Any], Limits]:
    """Return a job for a jail, what it is given and its limits."""
    given = beside(task, source)
    if task.style == "model":
        given["trials"] = rules.KERNELBENCH_TRIALS
    job = "foreign-result" if visible is None else "foreign-on-device"
    return job, {**given, "visible": visible or ""}, Limits(seconds=seconds, output=wire.MAX_FRAME)


def _ran(outcome: Outcome) -> Ran:
    """Read what a jail says of tests that ran in it."""
    if outcome.kind is not None:
        lines = message(outcome.message).splitlines() or [""]
        return Ran(None, outcome.seconds, f"{outcome.kind}: {lines[0][:300]}")
    try:
        return Ran(results.unpack(outcome.value), outcome.seconds)
    except Unlike as error:
        return Ran(None, outcome.seconds, str(error))
