"""Runs the reference of a foreign task in a jail, under limits."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from fitness import draws
from fitness.child import PATIENCE, Limits
from fitness.jail import Jail, Outcome
from fitness.words import message
from suites.foreign import Loaded

TOO_MUCH = ("timeout", "memory", "crash")  # for this machine: the last is how the system ends what takes too much


def payload(task: Loaded) -> dict[str, Any]:
    """Return what a child needs of a task."""
    return {
        "source": task.source, "tests": task.tests, "style": task.style,
        "thresholds": [list(t) for t in task.thresholds], "files": [list(f) for f in task.files],
        "place": task.place, "command": list(task.command),
    }  # fmt: skip


def beside(task: Loaded, source: str) -> dict[str, Any]:
    """Return what a child needs to run a program by a task's test: of a module what draws its inputs, and no more."""
    if task.style != "model":
        return payload(replace(task, source=source))
    kind = "Model" if source == task.source else "ModelNew"
    return {**payload(replace(task, source=source, tests=draws.alone(task.source))), "class": kind}


def run(task: Loaded, jail: Jail, seconds: float, idle: bool = False, reference: bool = True) -> Outcome:
    """Run a reference, and before it the same without launches where `idle`; a module on tensors that hold nothing."""
    return _run(task, jail, seconds, {"idle": idle, "reference": reference, "values": False})


def valued(task: Loaded, jail: Jail, seconds: float, sizes: Mapping[int, int]) -> Outcome:
    """Run a module on inputs that hold values, with these sizes in place of those that its file states."""
    told = {"idle": False, "reference": True, "values": True, "sizes": [list(pair) for pair in sizes.items()]}
    return _run(task, jail, seconds, told)


def why(outcome: Outcome) -> str:
    """Say in one line why a reference did not run."""
    lines = message(outcome.message).splitlines() or [""]
    return f"{outcome.kind}: {lines[0][:300]}" if lines[0] else str(outcome.kind)


def _run(task: Loaded, jail: Jail, seconds: float, asked: dict[str, Any]) -> Outcome:
    limits = Limits(seconds=PATIENCE * seconds, processor=seconds)
    return jail.run("foreign", {**payload(task), **asked, "seconds": seconds}, limits)
