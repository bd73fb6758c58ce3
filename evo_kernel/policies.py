"""Who becomes a parent. A policy is a few lines over the archive; all share one engine and one budget."""

from typing import Protocol

import numpy as np

from archives import selection
from archives.archive import Archive

CROSS_SHARE = 0.3  # of requests, once there is a partner to cross with
BROAD_HISTORY = 0.6  # share of history in the choice of parents when nothing has improved for long


class Policy(Protocol):
    """Chooses the parents of the next program: one parent for a step, two for a cross."""

    def parents(
        self, archive: Archive, seeds: tuple[str, ...], stagnant: bool, rng: np.random.Generator
    ) -> tuple[str, ...]:
        """Return one or two ids that the archive holds."""


class Greedy:
    """The archive policy: greedy from the best with a share of history, broader on stagnation, crossing elites."""

    def __init__(self, history: float) -> None:
        self._history = history

    def parents(
        self, archive: Archive, seeds: tuple[str, ...], stagnant: bool, rng: np.random.Generator
    ) -> tuple[str, ...]:
        """Choose the best or one of history, and at times a partner of its structure from another cell."""
        share = max(self._history, BROAD_HISTORY) if stagnant else self._history
        first = selection.greedy(archive, rng, share)
        second = selection.partner(archive, first, rng) if rng.random() < CROSS_SHARE else None
        return (first,) if second is None else (first, second)


class BestOfN:
    """The baseline: every program is one step from a seed, and the best of all is kept."""

    def parents(
        self, archive: Archive, seeds: tuple[str, ...], stagnant: bool, rng: np.random.Generator
    ) -> tuple[str, ...]:
        """Choose one of the seeds that passed."""
        passed = [s for s in seeds if s in archive]
        return (passed[int(rng.integers(len(passed)))],)


class Tuned:
    """The tuner alone: every program is the tuner's, from the best so far."""

    def parents(
        self, archive: Archive, seeds: tuple[str, ...], stagnant: bool, rng: np.random.Generator
    ) -> tuple[str, ...]:
        """Choose the best."""
        return (selection.greedy(archive, rng, 0.0),)


NAMES = ("archive", "best-of-n", "tuner")


def make(name: str, history: float) -> Policy:
    """Return the policy of that name."""
    if name == "archive":
        return Greedy(history)
    if name == "best-of-n":
        return BestOfN()
    if name == "tuner":
        return Tuned()
    raise ValueError(f"no policy named {name!r}; known: {', '.join(NAMES)}")
