"""Lines of descent that share one budget: the chains of `restarts`, the islands, the lineages that halving gives up.

A line takes every n-th request, so that to whom a program belongs follows from its number alone. Seeds belong to all.
"""

import math

from archives.archive import Archive, Entry
from archives.ranking import Ranking, Roster

RUNGS = (0.25, 0.5, 0.75)  # shares of the budget at which the worse half of the lines is given up


class Line:
    """The programs of one line that passed."""

    def __init__(self) -> None:
        self.history = Roster()
        self.failures = 0  # in a row
        self._ranking = Ranking()

    @property
    def best(self) -> str | None:
        """Its fastest program whose time may be published."""
        return self._ranking.best

    def add(self, entry: Entry, published: bool) -> None:
        """Take a program that passed, or its new time."""
        self.history.add(entry.candidate.id)
        self._ranking.drop(entry.candidate.id)
        if published:
            self._ranking.put(entry.candidate.id, entry.score_us)

    def drop(self, identity: str) -> None:
        """Take out a program that failed later."""
        self.history.discard(identity)
        self._ranking.drop(identity)


class Lines:
    """All lines of a run, and which of them are still followed."""

    def __init__(self, count: int) -> None:
        self.all = tuple(Line() for _ in range(count))
        self.alive = list(range(count))
        self._rung = 0

    def of(self, number: int) -> Line:
        """Return the line whose turn a request is."""
        return self.all[self.place(number)]

    def place(self, number: int) -> int:
        """Return the place of the line whose turn a request is."""
        return self.alive[number % len(self.alive)]

    def judged(self, line: Line, entry: Entry | None, published: bool) -> None:
        """Tell a line of a verdict; `entry` is None when the program failed or compiled to known code."""
        line.failures = 0 if entry else line.failures + 1
        if entry is not None:
            line.add(entry, published)

    def seeded(self, entry: Entry, published: bool) -> None:
        """Give a seed to every line."""
        for line in self.all:
            line.add(entry, published)

    def remeasured(self, entry: Entry, passed: bool, published: bool) -> None:
        """Tell the lines that have a program what a device said of it later."""
        for line in self.all:
            if entry.candidate.id in line.history:
                if passed:
                    line.add(entry, published)
                else:
                    line.drop(entry.candidate.id)

    def halve(self, spent: float, archive: Archive) -> None:
        """Give up the worse half at each rung that the spent share of the budget has reached."""
        while self._rung < len(RUNGS) and spent >= RUNGS[self._rung]:
            self._rung += 1
            ranked = sorted(self.alive, key=lambda place: (self._time(place, archive), place))
            self.alive = sorted(ranked[: math.ceil(len(ranked) / 2)])

    def _time(self, place: int, archive: Archive) -> float:
        best = self.all[place].best
        return math.inf if best is None else archive[best].score_us

    def migrate(self, archive: Archive) -> None:
        """Send the best of every island to the next; it stays at home too."""
        moving = [line.best for line in self.all]
        for place, identity in enumerate(moving):
            if identity is not None:
                self.all[(place + 1) % len(self.all)].add(archive[identity], True)
