"""Mutants of a reference: its own text run beside it, in a child that runs the task's code alone."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

from fitness import yardstick
from fitness.lint import ground
from fitness.mutants import Ground
from fitness.mutation import ALIKE, AS_RIGHT, BROKEN, EQUAL, FAULTED, KILLED, NO_WORSE, SURVIVED
from suites import Task, TaskError
from suites.loading import functions
from suites.trials import few, interpretable

_RAISED = (ArithmeticError, AttributeError, LookupError, NameError, RuntimeError, TypeError, ValueError)


@dataclass(frozen=True, slots=True)
class Held:
    """One trial that mutants are held against, and the largest error of an honest program there, over its limit."""

    ground: Ground
    honest: float


def held(task: Task, seed: int) -> list[Held]:
    """Draw every trial and run the honest bank on it; runs the task's own code."""
    cases = (*task.cases, *task.held_out, *(e for e in task.edges if interpretable(e)))
    own, found = functions(task), []
    for trial in (t for group in few(task, cases).values() for t in group):
        g = ground(own, trial, seed)
        bank = [_made(function, g) for _, function in own.honest]
        found.append(Held(g, max(_largest(g, made) for made in (g.eager, *bank))))
    return found


def references(task: Task, sources: list[str], trials: list[Held]) -> Iterator[tuple[str, str]]:
    """Say what becomes of each mutant of the reference; runs the task's own code."""
    for source in sources:
        try:
            changed = functions(replace(task, source=source)).reference
        except (TaskError, KeyError) as error:  # of a name that is gone
            yield BROKEN, str(error)
            continue
        yield _settled([_against(changed, one) for one in trials])


def _against(changed: Callable[..., Any], one: Held) -> tuple[str, str]:
    """Hold one mutant of the reference against one trial."""
    g = one.ground
    where = f"case {g.trial.case}, {g.trial.said}"
    try:
        made = _made(changed, g)
    except _RAISED as error:
        return BROKEN, f"{where}: {type(error).__name__}"
    if len(made) != len(g.yardsticks):
        return KILLED, where
    worst = _largest(g, made)
    if worst > 1.0:
        return KILLED, where
    if all(_same(*pair) for pair in zip(made, g.eager, strict=True)):
        return EQUAL, where
    return (AS_RIGHT if worst <= ALIKE * one.honest else SURVIVED), where


def _made(function: Callable[..., Any], g: Ground) -> list[torch.Tensor]:
    return yardstick.outputs(function(*[yardstick.copied(v) for v in g.values.values()]))


def _largest(g: Ground, made: Sequence[torch.Tensor]) -> float:
    """Return the largest error of a trial's outputs over its limit."""
    return max(yardstick.ratio(y, m)[0] for y, m in zip(g.yardsticks, made, strict=True))


def _same(one: torch.Tensor, other: torch.Tensor) -> bool:
    return bool(torch.equal(*(t.contiguous().reshape(-1).view(torch.uint8) for t in (one, other))))


def _settled(found: list[tuple[str, str]]) -> tuple[str, str]:
    """Join what became of a mutant in every trial: one that raises in some alone faults there."""
    killed = [where for state, where in found if state == KILLED]
    raised = [where for state, where in found if state == BROKEN]
    if killed:
        return KILLED, f"by {len(killed)} of {len(found)} trials, first {killed[0]}"
    if raised:
        return (BROKEN if len(raised) == len(found) else FAULTED), raised[0]
    differs = [where for state, where in found if state == SURVIVED]
    if differs:
        return SURVIVED, f"worse within its limits, first in {differs[0]}"
    return (AS_RIGHT, NO_WORSE) if any(state == AS_RIGHT for state, _ in found) else (EQUAL, "in all trials")
