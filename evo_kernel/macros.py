"""Macro steps: a new structure's first program and the short trial that follows, which are judged as one proposal.

A structure that a rewrite or a model made comes with numbers that were tuned for another one, or guessed. So whoever
learns from verdicts is told of it when its trial is over, and then of its fastest program. All follows from the
verdicts, in their order.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from archives.candidate import Candidate
from operators.catalogue import KNOBS, TUNER


@dataclass(slots=True)
class Step:
    """A structure on trial: what was asked for, its fastest program, and what it cost so far, in evaluations."""

    number: int
    first: Candidate
    target: str
    arm: str  # what the bandit calls its operator, with the model if it asked one
    best: str
    best_us: float
    cost: float


class Macros:
    """The steps that are not over, by structure, oldest first."""

    def __init__(self, on: bool) -> None:
        self._on = on
        self._open: dict[str, Step] = {}

    def begins(self, step: Step, began: bool) -> bool:
        """Tell whether a verdict begins a step; `began`: whether a trial of its structure began with its program."""
        if not self._on or not began or step.first.operator in KNOBS:
            return False
        self._open[step.first.structure] = step
        return True

    def continues(self, candidate: Candidate, time_us: float | None) -> bool:
        """Tell whether a verdict is on a tuned program of a step, and take it in."""
        step = self._open.get(candidate.structure)
        if step is None or candidate.operator != TUNER:
            return False
        step.cost += 1.0
        if time_us is not None and time_us < step.best_us:
            step.best, step.best_us = candidate.id, time_us
        return True

    @property
    def open(self) -> Iterable[str]:
        """The structures of the steps that are not over."""
        return self._open

    def ended(self, young: Callable[[str], bool]) -> list[Step]:
        """Forget the steps whose structures are no longer on trial, and return them."""
        over = [structure for structure in self._open if not young(structure)]
        return [self._open.pop(structure) for structure in over]
