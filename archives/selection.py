"""Chooses parents: greedy with a share of history, from the Pareto front, and partners good where others are not.

Every choice is among a bounded number of programs, so that it costs the same in an archive of any size.
"""

import math
import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from archives.ranking import Roster

if TYPE_CHECKING:
    from archives.archive import Archive, Entry

EPSILON = 0.02  # of log2: times of one case within 1.4% of the best are a tie
HELP = 1.01  # a second program helps where both together would be so many times faster at least
POOL = 32  # programs among which lexicase and NSGA-II choose


class Group(Protocol):
    """Programs with a best: an archive, or one line of descent in it."""

    @property
    def best(self) -> str | None:
        """The fastest of them."""

    @property
    def history(self) -> Roster:
        """All of them."""


def greedy(group: Group, rng: np.random.Generator, history: float) -> str:
    """Return the best program, or with probability `history` one of all that ever passed."""
    if group.best is None:
        raise ValueError("nothing has passed yet: there is no parent to choose")
    if rng.random() < history:
        return group.history.draw(rng)
    return group.best


def partner(archive: "Archive", parent: str, rng: np.random.Generator, lexical: bool = True) -> str | None:
    """Return another elite of the parent's structure, by epsilon-lexicase or the fastest; None if there is none."""
    drawn = archive.elites_of(archive[parent].candidate.structure).sample(POOL, rng)
    pool = [archive[i] for i in drawn if i != parent]
    if not pool:
        return None
    chosen = lexicase(pool, rng) if lexical else min(pool, key=lambda e: (e.score_us, e.candidate.id))
    return chosen.candidate.id


def stranger(archive: "Archive", parent: str, rng: np.random.Generator, lexical: bool = True) -> str | None:
    """Return an elite of another cell than the parent's, whatever its structure; None if there is none."""
    home = archive[parent].cell
    drawn = archive.crowned.sample(POOL + 1, rng)  # one of them may live there
    pool = [archive[i] for i in drawn if i != parent and archive[i].cell != home][:POOL]
    if not pool:
        return None
    chosen = lexicase(pool, rng) if lexical else min(pool, key=lambda e: (e.score_us, e.candidate.id))
    return chosen.candidate.id


def complement(archive: "Archive", parent: str, rng: np.random.Generator) -> str | None:
    """Draw a program by how much faster a parent would be, were each case the faster one's; None if none helps."""
    own = _logs(archive[parent])
    pool = [archive[i] for i in archive.front.draw(POOL, rng) if i != parent]
    # one that is slower everywhere, but for the clock's noise, is no help
    gains = [(float(np.maximum(own - _logs(e), 0.0).mean()), e.candidate.id) for e in pool if len(_logs(e)) == len(own)]
    good = [(gain, identity) for gain, identity in gains if gain > math.log(HELP)]
    if not good:
        return None
    weights = np.array([gain for gain, _ in good])
    return good[int(rng.choice(len(good), p=weights / weights.sum()))][1]


def _logs(entry: "Entry") -> NDArray[np.float64]:
    return np.asarray(np.log(np.array([c.time_us for c in entry.evaluation.cases])))


def specialist(archive: "Archive", rng: np.random.Generator) -> str:
    """Return a member of the Pareto front by epsilon-lexicase over the case times."""
    return lexicase([archive[i] for i in archive.front.draw(POOL, rng)], rng).candidate.id


def compromise(archive: "Archive", rng: np.random.Generator) -> str:
    """Return a member of the Pareto front by NSGA-II over its time and what the run weighs beside it."""
    pool = [archive[i] for i in archive.front.draw(POOL, rng)]
    kept = uncrowded([(e.score_us, *e.beside_latency(archive.objectives)) for e in pool], max(1, len(pool) // 4))
    return pool[kept[int(rng.integers(len(kept)))]].candidate.id


@dataclass(slots=True, eq=False)
class _Individual:
    """What DEAP's selections want to see of a program: a mutable object with a fitness."""

    place: int
    fitness: "_Fitness"


@dataclass(slots=True, unsafe_hash=True)
class _Fitness:
    """Values of which less is better."""

    values: tuple[float, ...]
    crowding_dist: float = field(default=0.0, compare=False)

    @property
    def weights(self) -> tuple[float, ...]:
        return (-1.0,) * len(self.values)

    @property
    def wvalues(self) -> tuple[float, ...]:
        return tuple(-v for v in self.values)

    def dominates(self, other: "_Fitness") -> bool:
        return self != other and all(a <= b for a, b in zip(self.values, other.values, strict=True))


def _individuals(vectors: Sequence[Sequence[float]]) -> list[Any]:
    """Wrap vectors for DEAP, which would rank one that is not finite first."""
    if not all(math.isfinite(value) for vector in vectors for value in vector):
        raise ValueError("a program has a time or an error that is not finite")
    return [_Individual(place, _Fitness(tuple(vector))) for place, vector in enumerate(vectors)]


def uncrowded(vectors: Sequence[Sequence[float]], count: int) -> list[int]:
    """Return the places of `count` vectors by NSGA-II: the least dominated, and of those the loneliest."""
    from deap import tools

    return sorted(one.place for one in tools.selNSGA2(_individuals(vectors), count))


def lexicase(entries: "Sequence[Entry]", rng: np.random.Generator) -> "Entry":
    """Choose by DEAP's epsilon-lexicase: cases in random order, each keeping what is near its best.

    Values are log2 of times, so that the tolerance is relative.
    """
    from deap import tools

    pool = _individuals([[math.log2(c.time_us) for c in e.evaluation.cases] for e in entries])
    with _seeded(int(rng.integers(2**63))):
        chosen: _Individual = tools.selEpsilonLexicase(pool, 1, EPSILON)[0]
    return entries[chosen.place]


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """Seed the global `random`, from which DEAP draws, and put it back afterwards."""
    state = random.getstate()
    random.seed(seed)
    try:
        yield
    finally:
        random.setstate(state)
