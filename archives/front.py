"""The programs that no other is better than in every respect: one coordinate a case, and others if wanted."""

import math
from collections.abc import Callable, Sequence
from operator import le

import numpy as np
from numpy.typing import NDArray

LARGEST = 256  # members; with more of them, those in crowded places go
KEPT = 192  # of them

Vector = tuple[float, ...]


class Front:
    """A Pareto front of vectors in which less is better. Offering costs one pass over at most LARGEST members."""

    def __init__(self, thin: Callable[[Sequence[Vector], int], list[int]]) -> None:
        self._thin = thin  # (vectors, count) -> places of those to keep
        self._names: list[str] = []
        self._here: set[str] = set()
        self._rows: NDArray[np.float64] = np.empty((0, 0))
        self._strongest: Vector = ()  # the member with the least product: it alone beats most of what is offered

    @property
    def members(self) -> tuple[str, ...]:
        """The programs of the front, in order of arrival."""
        return tuple(self._names)

    def __len__(self) -> int:
        return len(self._names)

    def __contains__(self, identity: str) -> bool:
        return identity in self._here

    def draw(self, count: int, rng: np.random.Generator) -> list[str]:
        """Return all members if there are no more than `count`, else so many different ones."""
        if len(self._names) <= count:
            return list(self._names)
        return [self._names[i] for i in rng.choice(len(self._names), count, replace=False)]

    def offer(self, identity: str, vector: Vector) -> bool:
        """Take a program unless a member is at least as good in every respect; members it beats so go."""
        if self._strongest and all(map(le, self._strongest, vector)):
            return False
        row = np.array([vector], dtype=float)
        if self._names:
            if (self._rows <= row).all(axis=1).any():
                return False
            self._keep(np.flatnonzero((self._rows < row).any(axis=1)))
        self._names.append(identity)
        self._here.add(identity)
        self._rows = np.concatenate([self._rows, row]) if len(self._rows) else row
        if not self._strongest or math.prod(vector) < math.prod(self._strongest):
            self._strongest = vector
        if len(self._names) > LARGEST:
            self._keep(np.asarray(self._thin([tuple(r) for r in self._rows.tolist()], KEPT)))
        return True

    def drop(self, identity: str) -> None:
        """Take a program out."""
        if identity in self._here:
            self._keep(np.asarray([i for i, name in enumerate(self._names) if name != identity], dtype=int))

    def _keep(self, places: NDArray[np.int_]) -> None:
        if len(places) < len(self._names):
            self._names = [self._names[i] for i in places]
            self._here = set(self._names)
            self._rows = self._rows[places]
            self._strongest = tuple(self._rows[self._rows.prod(axis=1).argmin()].tolist()) if len(places) else ()
