"""Macro steps: a rewrite and the short trial of the structure that it made, which are judged as one proposal.

A rewrite's first program has numbers that were tuned for another structure. So whoever learns from verdicts is told of
a rewrite when its trial is over, and then of the fastest program of it. All follows from the verdicts, in their order.
"""

from collections.abc import Callable
from dataclasses import dataclass

from archives.candidate import Candidate
from operators.catalogue import REWRITE, REWRITE_CROSS, TUNER


@dataclass(slots=True)
class Step:
    """A rewrite whose structure is on trial: what was asked for, its fastest program, and the evaluations so far."""

    number: int
    first: Candidate
    target: str
    arm: str  # what the bandit calls its operator
    best: str
    best_us: float
    cost: float


class Macros:
    """The steps that are not over, by structure, oldest first."""

    def __init__(self, on: bool) -> None:
        self._on = on
        self._open: dict[str, Step] = {}

    def begins(self, step: Step, young: bool) -> bool:
        """Tell whether a verdict begins a step: its program is a rewrite's, and the first of a structure on trial."""
        structure = step.first.structure
        rewritten = step.first.operator in (REWRITE, REWRITE_CROSS)
        if not self._on or not rewritten or not young or structure in self._open:
            return False
        self._open[structure] = step
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

    def oldest(self) -> str | None:
        """Return the structure that is tuned next."""
        return next(iter(self._open), None)

    def ended(self, young: Callable[[str], bool]) -> list[Step]:
        """Forget the steps whose structures are no longer on trial, and return them."""
        over = [structure for structure in self._open if not young(structure)]
        return [self._open.pop(structure) for structure in over]
