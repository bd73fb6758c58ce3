"""Judges a program of a suite's task by our rule too, and says where the two verdicts differ: that is a finding."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from evo_kernel.config import Settings
from evo_kernel.pools import judge_now, one_judge
from evo_kernel.suite import tasks
from fitness.evaluation import Basis, Evaluation, Stage
from fitness.theirs import Theirs
from suites import Task, TaskError
from suites.foreign import Loaded, handing

HOST = ("host-operation", "import", "schema", "launches")  # what a plan cannot hold, and an open child may do


@dataclass(frozen=True, slots=True)
class Ours:
    """What our judge says of a program of theirs; `passed` is None where it could not be asked."""

    passed: bool | None
    why: str
    mode: str = ""  # sealed, or open where the launcher computes on the host
    oracle: str = ""  # what says what is right


def judge(suite: str, task: Loaded, source: str | None, settings: Settings) -> Ours:
    """Make a task of ours of theirs and judge a program by it; without one, the suite's own."""
    if (why := tasks.why_not(task, models=True)) is not None:
        return Ours(None, why)
    try:
        own = tasks.turned(suite, task)
    except TaskError as error:
        return Ours(None, str(error))
    oracle = "the suite's own kernel" if own.interpreted else "PyTorch"
    program = _program(own, source)
    if program is None:
        lacks = "the suite has no kernel for it, only PyTorch" if source is None else f"it defines no `{own.entry}`"
        return Ours(None, lacks, oracle=oracle)
    verdict = _judged(own, program, settings)
    if _needs_open(verdict) and settings.basis == "measured":
        verdict = _judged(own, program, settings.model_copy(update={"mode": "open"}))
    failure = verdict.failure
    why = "" if failure is None else f"{failure.stage}, {failure.kind}: {' '.join(failure.message.split())[:200]}"
    if _needs_open(verdict):
        return Ours(None, f"it can be judged in open mode alone, which needs a GPU ({why})", "sealed", oracle)
    return Ours(right(verdict), why, str(verdict.mode), oracle)


def right(verdict: Evaluation) -> bool | None:
    """Return what our judge says of a program's results; None where it did not come so far, or could not run it."""
    failure = verdict.failure
    if failure is None:
        return True
    later = failure.stage in (Stage.PREDICT, Stage.MACHINE, Stage.TIMING)
    unable = failure.kind == "interpreter" or (failure.kind == "timeout" and verdict.basis is Basis.PREDICTED)
    return None if later or unable else False


def _program(own: Task, source: str | None) -> str | None:
    """Return a program with the launcher of our task: theirs gets the one that calls it as their test does."""
    if source is None:
        return own.seeds[0].source if own.seeds else None
    try:
        return handing.ours(own, source)
    except SyntaxError:
        return source  # which our judge says better


def _judged(own: Task, program: str, settings: Settings) -> Evaluation:
    judge = one_judge(own, settings)
    try:
        return judge_now(judge, program, own.cases)
    finally:
        judge.close()


def _needs_open(verdict: Evaluation) -> bool:
    """Whether a program fails at what a plan can hold, and not at what it computes."""
    failure = verdict.failure
    return failure is not None and failure.kind in HOST and failure.stage is not Stage.CORRECTNESS


def differing(pairs: Sequence[tuple[Theirs, Ours]]) -> list[str]:
    """Name the tasks that one of the two judges takes a program for right in, and the other does not."""
    known = [(t, o) for t, o in pairs if t.passed is not None and o.passed is not None]
    return [t.name for t, o in known if t.passed != o.passed]


def line(one: Ours) -> str:
    """Say in words what our judge said."""
    words = {True: "right", False: "wrong", None: "not judged"}[one.passed]
    mode = f" ({one.mode}, oracle: {one.oracle})" if one.mode else ""
    return f"ours: {words}{f': {one.why}' if one.why else ''}{mode}"


def plain(one: Ours) -> dict[str, Any]:
    """Return a verdict as JSON holds it."""
    return {"passed": one.passed, "why": one.why, "mode": one.mode, "oracle": one.oracle}
