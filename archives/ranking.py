"""Sets of programs that stay cheap as they grow: a ranking that knows its best, a roster that can be drawn from."""

import heapq
from collections.abc import Iterator, Sequence
from typing import overload

import numpy as np


class Ranking:
    """Knows the program with the lowest score. A changed score leaves its old place in the heap, found stale later."""

    def __init__(self) -> None:
        self._scores: dict[str, tuple[float, int]] = {}
        self._heap: list[tuple[float, int, str]] = []
        self._put = 0

    def __contains__(self, identity: str) -> bool:
        return identity in self._scores

    def __len__(self) -> int:
        return len(self._scores)

    def put(self, identity: str, score: float) -> None:
        """Add a program, or give it another score. Of equal ones the first stays the best."""
        self._put += 1
        self._scores[identity] = (score, self._put)
        heapq.heappush(self._heap, (score, self._put, identity))

    def drop(self, identity: str) -> None:
        """Take a program out."""
        self._scores.pop(identity, None)

    @property
    def best(self) -> str | None:
        """The program with the lowest score."""
        while self._heap:
            score, put, identity = self._heap[0]
            if self._scores.get(identity) == (score, put):
                return identity
            heapq.heappop(self._heap)
        return None


class Roster(Sequence[str]):
    """Programs in the order they came; where one is taken out, the last takes its place."""

    def __init__(self) -> None:
        self._names: list[str] = []
        self._places: dict[str, int] = {}

    def __contains__(self, identity: object) -> bool:
        return identity in self._places

    def __len__(self) -> int:
        return len(self._names)

    @overload
    def __getitem__(self, place: int) -> str: ...

    @overload
    def __getitem__(self, place: slice) -> list[str]: ...

    def __getitem__(self, place: int | slice) -> str | list[str]:
        return self._names[place]

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __eq__(self, other: object) -> bool:
        return self._names == (other._names if isinstance(other, Roster) else other)

    __hash__ = None  # type: ignore[assignment]  # it changes

    def __repr__(self) -> str:
        return f"Roster({self._names})"

    def add(self, identity: str) -> None:
        """Add a program at the end, unless it is here."""
        if identity not in self._places:
            self._places[identity] = len(self._names)
            self._names.append(identity)

    def discard(self, identity: str) -> None:
        """Take a program out, if it is here."""
        place = self._places.pop(identity, None)
        if place is None:
            return
        last = self._names.pop()
        if last != identity:
            self._names[place] = last
            self._places[last] = place

    def draw(self, rng: np.random.Generator) -> str:
        """Draw one program, all alike."""
        return self._names[int(rng.integers(len(self._names)))]

    def sample(self, count: int, rng: np.random.Generator) -> list[str]:
        """Return all programs if there are no more than `count`, else so many different ones."""
        if len(self._names) <= count:
            return list(self._names)
        return [self._names[i] for i in rng.choice(len(self._names), count, replace=False)]
