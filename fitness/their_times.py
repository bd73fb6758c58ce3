"""Takes times of a program the way its suite takes them, for tables to lay beside published ones.

The suite's own performance file runs in a jail, beside the program. Each number is a claim of that one process, which
could be the clock it reads ("untrusted-host"); here it is only seen to be a time at all.
"""

import math
from dataclasses import dataclass
from typing import Any

from fitness.child import Limits
from fitness.jail import Jail, Outcome
from fitness.references import beside
from fitness.words import message
from suites.foreign import Loaded

MODE = "untrusted-host"
# seconds that a run gives to a test, and to its times: tuners choose by themselves there, and every size has its second
TEST, TIMES = 120.0, 300.0
MOST, LONGEST = 5000, 200  # tests of one program (the ROCm benchmark has one of 2100), and letters of a test's name
OUTPUT = 4 << 20  # bytes that a child may answer with


@dataclass(frozen=True, slots=True)
class Times:
    """What a suite's own performance tests say of one program."""

    by_test: tuple[tuple[str, float], ...]  # microseconds by test, in the suite's order
    seconds: float
    why: str = ""  # why there are none


def take(task: Loaded, source: str, jail: Jail, seconds: float, visible: str | None) -> Times:
    """Take times of a program on the GPU named; None goes the same way by the host's clock, which times no GPU.

    A test that failed has no time. Nothing else should use the GPU meanwhile.
    """
    if why := lacking(task):
        return Times((), 0.0, why)
    given = {
        **beside(task, source), "timing": [list(t) for t in task.timing],
        "timed": list(task.timed), "visible": visible or "", "seconds": seconds,
    }  # fmt: skip
    job = "foreign-times-interpreted" if visible is None else "foreign-times"
    return _read(jail.run(job, given, Limits(seconds=seconds, output=OUTPUT)))


def lacking(task: Loaded) -> str:
    """Say in one line why no times of a task can be taken as its suite does; empty where they can."""
    if task.problem:
        return task.problem
    if task.untimed:
        return f"what takes its times cannot be read: {task.untimed}"
    if task.style == "model" or task.timed or (task.timing and task.style != "script"):
        return ""
    return "its checkout has no performance file for it, or one of a form that is not known"


def _read(outcome: Outcome) -> Times:
    """Read what a child says its program took."""
    if outcome.kind is not None:
        lines = message(outcome.message).splitlines() or [""]
        return Times((), outcome.seconds, f"{outcome.kind}: {lines[0][:300]}")
    found = outcome.value
    if not isinstance(found, tuple) or not found or len(found) > MOST:
        return Times((), outcome.seconds, f"what came back is no list of 1 to {MOST} times")
    strange = next((one for one in found if not _is_time(one, outcome.seconds)), None)
    if strange is not None:
        return Times((), outcome.seconds, f"what came back holds no time: {message(repr(strange))[:100]}")
    if len({name for name, _ in found}) != len(found):
        return Times((), outcome.seconds, "what came back holds two times of one test")
    return Times(tuple((name, float(us)) for name, us in found), outcome.seconds)


def _is_time(one: Any, seconds: float) -> bool:
    """Whether this is a name and microseconds that a process of so many seconds can have seen."""
    if not (isinstance(one, tuple) and len(one) == 2):
        return False
    name, us = one
    named = isinstance(name, str) and 0 < len(name) <= LONGEST and name.isprintable()
    return named and type(us) in (int, float) and math.isfinite(us) and 0 < us <= 1e6 * seconds
