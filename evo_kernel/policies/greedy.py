"""The archive policy: greedy from the best, and from history or the front where it is told to."""

import numpy as np

from archives import selection
from archives.archive import Archive, Entry
from archives.selection import Group
from evo_kernel.lines import Lines
from evo_kernel.policies.policy import View
from evo_kernel.rules import Rules

BROAD_HISTORY = 0.6  # share of history in the choice of parents when the best has nothing new, or is old


class Greedy:
    """Takes the best; if it is told to, at times one of history, a specialist or a compromise of the Pareto front.

    With halving it begins as several such searches, each over its own line of descent; of these the worse half is
    given up at 25, 50 and 75% of the budget, and the last one left has the whole archive.
    """

    crosses = tunes = True
    heeds = frozenset({"history", "fallback", "broadening", "lexicase", "halving", "compromises"})

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._lines = Lines(rules.lines if rules.halving else 1)
        self._compromises = rules.compromises if len(rules.objectives) > 1 else 0.0

    def parent(self, view: View, rng: np.random.Generator) -> str:
        """Choose one program."""
        if self._compromises and rng.random() < self._compromises:
            return selection.compromise(view.archive, rng)
        if self._rules.lexicase and rng.random() < self._rules.lexicase:
            return selection.specialist(view.archive, rng)
        return selection.greedy(self._group(view), rng, self._share(view))

    def _share(self, view: View) -> float:
        """Return how many parents come from history now."""
        if (view.dry and self._rules.fallback) or (view.stagnant and self._rules.broadening):
            return max(self._rules.history, BROAD_HISTORY)
        return self._rules.history

    def _group(self, view: View) -> Group:
        """Return what a request chooses from: its line, or everything."""
        line = self._lines.of(view.number)
        return view.archive if len(self._lines.alive) == 1 or line.best is None else line

    def seeded(self, entry: Entry, published: bool) -> None:
        """Give a seed to every line."""
        if self._rules.halving:
            self._lines.seeded(entry, published)

    def judged(self, number: int, entry: Entry | None, archive: Archive, spent: float) -> None:
        """Give a program to its line, and give up lines when it is time."""
        if self._rules.halving:  # one line alone would be the archive once more
            self._lines.judged(self._lines.of(number), entry, entry is not None and archive.published(entry))
            self._lines.halve(spent, archive)

    def remeasured(self, entry: Entry, passed: bool, published: bool) -> None:
        """Tell the lines."""
        if self._rules.halving:
            self._lines.remeasured(entry, passed, published)
