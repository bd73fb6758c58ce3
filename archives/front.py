"""The programs that no other is better than in every respect: one coordinate a case, and others if wanted.

With more than LARGEST of them those that are nearly the same stand for each other: coordinates are rounded down to
boxes, a few per mille wide and twice as wide each time that it is not enough, and a member's box keeps out what lies in
it or behind it. Whatever the boxes, no member is beaten in every respect by a program that was ever offered and is
still here: who kept that one out would keep out the member too. That holds because boxes of every width are nested.
"""

from operator import le

import numpy as np
from numpy.typing import NDArray

LARGEST = 256  # members
FINEST = 44  # bits cut from a number at first: 8 of its 52 binary places are left, steps of 0.2 to 0.4%

Vector = tuple[float, ...]
Ints = NDArray[np.int64]


class Front:
    """A Pareto front of vectors, no coordinate negative, in which less is better.

    Offering costs one pass over at most LARGEST members. Taking one out asks all that was ever offered who stands in
    its place: a few milliseconds among 100,000 programs.
    """

    def __init__(self) -> None:
        self._cut = 0  # bits
        self._names: list[str] = []  # all that were offered
        self._places: dict[str, int] = {}
        self._values: NDArray[np.float64] = np.empty((0, 0))  # with room for more
        self._gone: set[int] = set()  # places that were taken out
        self._members: Ints = np.empty(0, dtype=np.int64)  # places
        self._boxes: Ints = np.empty((0, 0), dtype=np.int64)  # of the members
        self._strongest: Vector = ()  # the member with the least product: it alone beats most of what is offered

    @property
    def members(self) -> tuple[str, ...]:
        """The programs of the front, in order of arrival."""
        return tuple(self._names[place] for place in sorted(self._members.tolist()))

    def __len__(self) -> int:
        return len(self._members)

    def __contains__(self, identity: str) -> bool:
        return bool((self._members == self._places.get(identity, -1)).any())

    def draw(self, count: int, rng: np.random.Generator) -> list[str]:
        """Return all members if there are no more than `count`, else so many different ones."""
        members = self.members
        if len(members) <= count:
            return list(members)
        return [members[i] for i in rng.choice(len(members), count, replace=False)]

    def offer(self, identity: str, vector: Vector) -> bool:
        """Take a program unless a member's box keeps it out; members that its own keeps out go."""
        if not min(vector) >= 0:
            raise ValueError(f"expected coordinates of 0 or more, got {vector}")
        place = self._enter(identity, vector)
        if self._strongest and all(map(le, self._strongest, vector)):
            return False
        self._join(place, self._boxed(self._values[place]))
        self._fit()
        return identity in self

    def drop(self, identity: str) -> None:
        """Take a program out, and let in whom it kept out."""
        place = self._places.pop(identity, None)
        if place is None:
            return
        self._gone.add(place)
        member = self._members == place
        if not member.any():
            return
        box = self._boxes[member]
        self._keep(~member)
        behind = np.flatnonzero((self._boxed(self._values[: len(self._names)]) >= box).all(axis=1))
        self._readmit(np.setdiff1d(behind, [*self._gone, *self._members]))
        self._fit()

    def _enter(self, identity: str, vector: Vector) -> int:
        """Write down what is offered; return its place."""
        self.drop(identity)
        place = len(self._names)
        if place == len(self._values):
            room = np.zeros((max(64, 2 * place), len(vector)))
            room[:place] = self._values.reshape(place, len(vector))
            self._values = room
        self._values[place] = vector
        self._names.append(identity)
        self._places[identity] = place
        return place

    def _readmit(self, places: Ints) -> None:
        """Take those of some programs that no box keeps out."""
        boxes = self._boxed(self._values[places])
        for kept in self._boxes:
            out = (kept <= boxes).all(axis=1)
            places, boxes = places[~out], boxes[~out]
        for place, box in zip(*_standing(places, boxes, self._values), strict=True):
            self._join(int(place), box)

    def _join(self, place: int, box: Ints) -> None:
        """Take one program, unless a member's box keeps it out and it does not beat the member within one box."""
        over = (self._boxes <= box).all(axis=1) if len(self._members) else np.zeros(0, dtype=bool)
        for other in np.flatnonzero(over):
            rival, mine = self._values[self._members[other]], self._values[place]
            if (self._boxes[other] != box).any() or not (mine <= rival).all() or (mine == rival).all():
                return
        if len(self._members):
            self._keep(np.asarray((self._boxes < box).any(axis=1)))
        self._members = np.append(self._members, place)
        self._boxes = np.append(self._boxes.reshape(-1, len(box)), box[None], axis=0)
        self._choose_strongest()

    def _fit(self) -> None:
        """Widen the boxes until the members are few enough."""
        while len(self._members) > LARGEST:
            self._cut = max(FINEST, self._cut + 1)
            boxes = self._boxed(self._values[self._members])
            self._members, self._boxes = _standing(self._members, boxes, self._values)
            self._choose_strongest()

    def _keep(self, which: NDArray[np.bool_]) -> None:
        if not which.all():
            self._members, self._boxes = self._members[which], self._boxes[which]
            self._choose_strongest()

    def _choose_strongest(self) -> None:
        values = self._values[self._members]
        self._strongest = tuple(values[values.prod(axis=1).argmin()].tolist()) if len(values) else ()

    def _boxed(self, values: NDArray[np.float64]) -> Ints:
        """Round numbers down: as bits, numbers that are not negative rise with what they stand for."""
        return np.ascontiguousarray(values).view(np.int64) >> self._cut


def _standing(places: Ints, boxes: Ints, values: NDArray[np.float64]) -> tuple[Ints, Ints]:
    """Return those of some programs whose boxes no other's box keeps out; of one box, one that none beats."""
    order = np.lexsort((places, values[places].sum(axis=1), boxes.astype(float).sum(axis=1)))
    places, boxes = places[order], boxes[order]
    chosen: list[int] = []
    open_ = np.arange(len(places))
    while len(open_):
        chosen.append(int(open_[0]))
        open_ = open_[(boxes[open_] < boxes[open_[0]]).any(axis=1)]
    return places[chosen], boxes[chosen]
