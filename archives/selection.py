"""Chooses parents: greedy with a share of history, and partners that are good where others are not."""

import random
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from archives.archive import Archive, Entry

EPSILON = 0.02  # relative: times of one case closer than this are a tie


def greedy(archive: Archive, rng: np.random.Generator, history: float) -> str:
    """Return the best program, or with probability `history` one of all that ever passed."""
    if archive.best is None:
        raise ValueError("nothing has passed yet: there is no parent to choose")
    if rng.random() < history:
        return archive.history[int(rng.integers(len(archive.history)))]
    return archive.best


def partner(archive: Archive, parent: str, rng: np.random.Generator) -> str | None:
    """Return an elite of the parent's structure by epsilon-lexicase over the case times, or None."""
    wanted = archive[parent].candidate.structure
    pool = [
        e for e in (archive[i] for i in archive.elites.values())
        if e.candidate.structure == wanted and e.candidate.id != parent
    ]  # fmt: skip
    if not pool:
        return None
    return lexicase(pool, rng).candidate.id


@dataclass(slots=True)
class _Individual:
    """What DEAP's selection wants to see of an entry: a mutable object with a fitness."""

    entry: Entry
    fitness: "_Fitness"


@dataclass(frozen=True, slots=True)
class _Fitness:
    values: tuple[float, ...]
    weights: tuple[float, ...]


def lexicase(entries: Sequence[Entry], rng: np.random.Generator) -> Entry:
    """Choose by DEAP's epsilon-lexicase: cases in random order, each keeping what is near its best.

    DEAP draws from the global `random`; it is seeded from `rng` for the call and put back afterwards. Values are
    log2 of times, so that the tolerance is relative.
    """
    from deap import tools

    pool = []
    for entry in entries:
        times = np.log2([c.time_us for c in entry.evaluation.cases])
        if not np.isfinite(times).all():
            raise ValueError(f"candidate {entry.candidate.id} has a time that is not finite")
        pool.append(_Individual(entry, _Fitness(tuple(times), (-1.0,) * len(times))))
    state = random.getstate()
    random.seed(int(rng.integers(2**63)))
    try:
        chosen: _Individual = tools.selEpsilonLexicase(pool, 1, EPSILON)[0]
    finally:
        random.setstate(state)
    return chosen.entry
