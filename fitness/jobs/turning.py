"""Makes a task of ours of a foreign one, and looks whether it can be judged: its text is all that comes back."""

from typing import Any

import torch

from fitness import yardstick
from fitness.child import Refused, Report
from fitness.lint import ground
from suites import Task, TaskError, read
from suites.foreign import modelled
from suites.foreign.drawn import Undrawable
from suites.foreign.modelled import Unturnable
from suites.foreign.text import Parts, limited, written
from suites.loading import Functions, functions
from suites.task import FLOATING, pack
from suites.trials import Trial, draw, few, trials

WRONG = (ValueError, RuntimeError, TypeError, IndexError, KeyError, AttributeError, AssertionError, NotImplementedError)


def run(payload: Any, report: Report) -> Any:
    """Return the packed task; Refused says in one line why there is none, or why it is quarantined."""
    torch.set_num_threads(1)
    report.stage("turning")
    try:
        parts = modelled.parts(payload["suite"], payload["name"], payload["source"])
    except (Unturnable, Undrawable) as error:
        raise Refused("no task", str(error)) from error
    report.stage("reading")
    return pack(_settled(parts, payload["suite"], payload["name"], report))


def _settled(parts: Parts, suite: str, name: str, report: Report) -> Task:
    """Read the task with the distributions under which its reference can be judged."""
    title = f"{suite}/{name}"
    try:
        task = read(written(parts), title)
        report.stage("distributions")
        fitting = _fitting(task)
        cases, held_out = (limited(group, fitting) for group in (parts.cases, parts.held_out))
        limited_parts = Parts(parts.about, parts.entry, parts.maker, cases, held_out, parts.honest, parts.seed, parts.options)
        task = read(written(limited_parts), title)
        report.stage("judging")
        _require(task)
    except (TaskError, *WRONG) as error:
        raise Refused("no task", f"its reference cannot be judged: {type(error).__name__}: {error}") from error
    return task


def _fitting(task: Task) -> list[str]:
    """Return the distributions from which the reference's results are finite, in float64 and in its own dtype."""
    own = functions(task)
    found = []
    for trial in trials(task, task.cases[0], small=True):
        if trial.name in FLOATING and _finite(own, trial):
            found.append(trial.name)
    return found


def _finite(own: Functions, trial: Trial) -> bool:
    values = draw(trial, 0)
    truths = yardstick.outputs(own.reference(*yardstick.lifted(values).values()))
    made = yardstick.outputs(own.reference(*[yardstick.copied(v) for v in values.values()]))
    return all(bool(torch.isfinite(t).all()) for t in (*truths, *made) if t.is_floating_point())


def _require(task: Task) -> None:
    """Refuse a task that a kernel passes which writes zeros, or whose limits cannot be made."""
    own = functions(task)
    grounds = [ground(own, t, 0) for group in few(task, task.cases).values() for t in group]
    for number, output in enumerate(grounds[0].eager):
        refused = any(
            yardstick.ratio(g.yardsticks[number], torch.zeros_like(g.eager[number]))[0] > 1.0 for g in grounds
        )
        if output.numel() and not refused:
            raise Refused("quarantined", "a kernel that writes zeros passes all its cases")
    for trial in [t for case in task.held_out for t in few(task, (case,))[case.name]]:
        ground(own, trial, 0)



