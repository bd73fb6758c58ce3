"""Makes Tasks of ours of foreign ones in a jail, or says in one line why one cannot be."""

from typing import Any

from fitness.child import PATIENCE, Limits
from fitness.jail import Jail
from fitness.references import payload
from fitness.words import message
from suites import Task, TaskError
from suites.foreign import Loaded
from suites.task import unpack

SECONDS = 170.0  # of the processor, for one task
QUARANTINED = "quarantined: "  # how the reason begins of a task that a program passes which computes nothing
FLAVOUR = "interpreter"  # of the jail: programs run without a GPU


def turn(suite: str, task: Loaded, jail: Jail, seconds: float = SECONDS) -> Task:
    """Return a foreign task as one of ours; TaskError says in one line why it cannot be."""
    given = {**payload(task), "suite": suite, "name": task.name, "instruction": task.instruction}
    outcome = jail.run("turn", given, Limits(seconds=PATIENCE * seconds, processor=seconds))
    if outcome.kind is not None:
        said = " ".join(message(outcome.message).split())[:300]
        stage = f" while {outcome.stage}" if outcome.kind in ("timeout", "crash") and outcome.stage else ""
        prefix = {"quarantined": QUARANTINED, "no task": ""}.get(outcome.kind, f"{outcome.kind}{stage}: ")
        raise TaskError(f"{prefix}{said}")
    return _taken(outcome.value, suite, task)


def _taken(plain: Any, suite: str, task: Loaded) -> Task:
    """Take what a child sent where it is a task: a program of theirs may have sent anything."""
    try:
        found = unpack(plain)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise TaskError("what came back of it is no task") from error
    if found.name != f"{suite}/{task.name}" or not found.cases or not found.held_out:
        raise TaskError("what came back of it is no task")
    return found
