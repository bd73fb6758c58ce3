"""Checks one task of somebody else's benchmark in a jail: whether its reference runs, and whether its test tests."""

from dataclasses import dataclass
from typing import Any, Literal

from fitness import modules, references
from fitness.jail import Jail
from suites.foreign import Loaded

SECONDS = 170.0  # of the processor, for the reference and the run without launches together
MODEL = 60.0  # of these, for a module of KernelBench on values; many take minutes, or more memory than there is
_EMPTY = frozenset(("none", "integer"))  # a result of these alone says nothing of what a kernel computed
FLAVOUR = "interpreter"
_SAID = ("passes", "itself", "varies", "repeats")

Audit = Literal["tests", "vacuous", "empty", "unknown"]
"""What the run without launches came to: refused; taken for right; right, and without any value; no answer."""


@dataclass(frozen=True, slots=True)
class Checked:
    """What became of one task."""

    name: str
    ran: bool
    why: str  # it did not run; empty where it did
    seconds: float
    audit: Audit = "unknown"
    itself: bool | None = None  # whether their comparison takes the reference for right; NaN makes it say no
    varies: bool | None = None  # whether another seed gives other results; None where it was not run under one
    repeats: bool | None = None  # whether a second run on poisoned memory gives the same; None where that is not known
    inputs: str = ""  # of a module that was audited: "its own", or which sizes were made smaller
    unaudited: str = ""  # why a module that runs could be audited on no inputs
    ours: str | None = None  # why it is no task of ours; empty where it is one, None where that was not tried

    @property
    def flagged(self) -> bool:
        """Whether the task's test passes a program that computes nothing."""
        return self.audit in ("vacuous", "empty")


def check(task: Loaded, jail: Jail, seconds: float = SECONDS) -> Checked:
    """Run a task's reference, and before it the same without launches."""
    if task.problem is not None or task.needs:
        why = task.problem or f"needs {', '.join(task.needs)}, not installed here"
        return Checked(task.name, False, why, 0.0)
    if task.style == "native":
        return Checked(task.name, False, f"native: see evo-kernel tasks check {task.name}", 0.0)
    outcome = references.run(task, jail, seconds, idle=task.style != "model")
    took = outcome.seconds
    idles = not (outcome.stage == "idle" and outcome.kind is not None)
    if not idles:  # without launches it hangs or crashes, which is no answer
        outcome = references.run(task, jail, seconds)
        took += outcome.seconds
    inputs = unaudited = ""
    if outcome.kind in (None, "exception") and task.style == "model":  # now its values, without which some cannot run
        valued = modules.valued(task, jail, min(seconds, MODEL), outcome)
        took += valued.seconds
        outcome, inputs, unaudited = valued.outcome or outcome, valued.inputs, valued.unaudited
    if outcome.kind is None:
        said = _said(outcome.value)
        return Checked(task.name, True, "", took, _audit(said), said.get("itself"), said.get("varies"),
                       said.get("repeats"), inputs, unaudited)  # fmt: skip
    held: dict[str, Any] = {}
    if idles and task.style != "model":  # the reference itself fails: what a result is made of can be seen all the same
        alone = references.run(task, jail, seconds, idle=True, reference=False)
        held = _said(alone.value) if alone.kind is None else {}
        took += alone.seconds
    return Checked(task.name, False, references.why(outcome), took, "empty" if _is_empty(held) else "unknown")


def _said(value: Any) -> dict[str, Any]:
    """Take what a child said where it has the form of an answer: a program of theirs may have sent anything."""
    if not isinstance(value, dict):
        return {}
    held = value.get("held")
    kinds = tuple(held) if isinstance(held, (list, tuple)) and all(isinstance(k, str) for k in held) else None
    flags = {key: value[key] if isinstance(value.get(key), bool) else None for key in _SAID}
    return {"held": kinds, **flags}


def _audit(said: dict[str, Any]) -> Audit:
    if said.get("passes") is None:
        return "unknown"
    if not said["passes"]:
        return "tests"
    return "empty" if _is_empty(said) else "vacuous"


def _is_empty(said: dict[str, Any]) -> bool:
    """Say whether a result without launches holds no values of any kernel."""
    return bool(said.get("held")) and _EMPTY.issuperset(said["held"])
