"""Makes a task of ours of a foreign one, and looks whether it can be judged: its text is all that comes back."""

from dataclasses import replace
from typing import Any

import torch

from fitness import yardstick
from fitness.child import Refused, Report
from fitness.jobs import foreign
from fitness.jobs.banking import banked
from fitness.lint import ground
from suites import Task, TaskError, read
from suites.foreign import modelled, programmed
from suites.foreign.drawn import Undrawable
from suites.foreign.modelled import Unturnable
from suites.foreign.text import Parts, limited, written
from suites.loading import Functions, functions
from suites.task import FLOATING, Input, pack
from suites.trials import Trial, draw, few, trials

QUANTISED = "its test allows what a quantised computation errs by, and our rule what the reference rounds by alone"
WRONG = (ValueError, RuntimeError, TypeError, IndexError, KeyError, AttributeError, AssertionError, NotImplementedError)


def run(payload: Any, report: Report) -> Any:
    """Return the packed task; Refused says in one line why there is none, or why it is quarantined."""
    torch.set_num_threads(1)
    report.stage("turning")
    try:
        parts = _parts(payload)
    except (Unturnable, Undrawable) as error:
        raise Refused("no task", str(error)) from error
    report.stage("reading")
    return pack(_settled(parts, payload["suite"], payload["name"], report))


def _parts(payload: Any) -> Parts:
    """Find what a task is made of: of a module by calling it, of a program by watching what its test does with it."""
    suite, name = payload["suite"], payload["name"]
    if payload["style"] == "model":
        return modelled.parts(suite, name, payload["source"])
    if payload["thresholds"]:
        raise Unturnable(QUANTISED)
    found = foreign.watched(payload)
    plain = payload["style"] == "function"
    return programmed.parts(suite, name, payload["source"], payload["instruction"], found.calls, plain)


def _settled(parts: Parts, suite: str, name: str, report: Report) -> Task:
    """Read the task with the distributions under which its reference can be judged."""
    title = f"{suite}/{name}"
    try:
        task = read(written(parts), title)
        report.stage("distributions")
        fitting = _fitting(task)
        cases, held_out = (limited(group, fitting) for group in (parts.cases, parts.held_out))
        report.stage("bank")
        task = read(written(banked(replace(parts, cases=cases, held_out=held_out), task)), title)
        report.stage("judging")
        _require(task)
    except (TaskError, *WRONG) as error:
        raise Refused("no task", f"its reference cannot be judged: {type(error).__name__}: {error}") from error
    return task


def _fitting(task: Task) -> list[str]:
    """Return the distributions from which the reference's results are finite, in float64 and in its own dtype.

    The case's own are among them whatever comes of them: they are the suite's.
    """
    own, case = functions(task), task.cases[0]
    found = {a.distribution for a in case.inputs.values() if isinstance(a, Input) and a.floating}
    found |= {t.name for t in trials(task, case, small=True) if t.name in FLOATING and _finite(own, t)}
    return [name for name in FLOATING if name in found]


def _finite(own: Functions, trial: Trial) -> bool:
    values = draw(trial, 0)
    made = yardstick.outputs(own.reference(*[yardstick.copied(v) for v in values.values()]))
    if not all(bool(torch.isfinite(t).all()) for t in made if t.is_floating_point()):
        return False
    truths = yardstick.outputs(own.reference(*yardstick.lifted(values).values()))
    return all(bool(torch.isfinite(t).all()) for t in truths if t.is_floating_point())


def _require(task: Task) -> None:
    """Refuse a task that a kernel passes which writes zeros, or nothing, or whose limits cannot be made."""
    own = functions(task)
    chosen = [t for group in few(task, (*task.cases, *task.held_out)).values() for t in group]
    grounds = [ground(own, t, 0) for t in chosen]
    for number in range(len(grounds[0].eager)):
        made = [(g.yardsticks[number], g.eager[number]) for g in grounds if g.eager[number].numel()]
        if made and not any(yardstick.ratio(y, torch.zeros_like(e))[0] > 1.0 for y, e in made):
            raise Refused("quarantined", "a kernel that writes zeros passes all its cases")
    _require_shapes(own, task)
    for one in grounds:
        again = yardstick.outputs(own.reference(*[yardstick.copied(v) for v in one.values.values()]))
        if not all(map(_equal, one.eager, again)):
            raise Refused("no task", f"its reference gives other results in a second call: {one.trial.said}")


def _require_shapes(own: Functions, task: Task) -> None:
    """Refuse a reference whose results' shapes follow from values: a launcher allocates before there are any."""
    trial = trials(task, task.cases[0], small=True)[0]
    drawn = [draw(trial, seed) for seed in (0, 1)]
    made = [yardstick.outputs(own.reference(*map(yardstick.copied, v.values()))) for v in drawn]
    if [t.shape for t in made[0]] != [t.shape for t in made[1]]:
        raise Refused("no task", "the shapes of its results follow from the values that it is given")


def _equal(one: torch.Tensor, other: torch.Tensor) -> bool:
    return torch.equal(torch.nan_to_num(one.double()), torch.nan_to_num(other.double()))
