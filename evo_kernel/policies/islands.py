"""Islands: greedy searches side by side, whose best wander to the next island from time to time."""

import numpy as np

from archives import selection
from archives.archive import Archive, Entry
from evo_kernel.lines import Lines
from evo_kernel.policies.policy import View
from evo_kernel.rules import Rules


class Islands:
    """Each island takes its own best or one of its own history; every `migration` verdicts the best move in a ring."""

    crosses = tunes = True
    heeds = frozenset({"history"})

    def __init__(self, rules: Rules) -> None:
        self._history, self._every = rules.history, rules.migration
        self._lines = Lines(rules.lines)
        self._verdicts = 0

    def parent(self, view: View, rng: np.random.Generator) -> str:
        """Choose from the island whose turn it is."""
        island = self._lines.of(view.number)
        return selection.greedy(view.archive if island.best is None else island, rng, self._history)

    def seeded(self, entry: Entry, published: bool) -> None:
        """Give a seed to every island."""
        self._lines.seeded(entry, published)

    def judged(self, number: int, entry: Entry | None, archive: Archive, spent: float) -> None:
        """Settle a program on its island; when it is time, let the best move."""
        self._lines.judged(self._lines.of(number), entry, entry is not None and archive.published(entry))
        self._verdicts += 1
        if self._verdicts % self._every == 0:
            self._lines.migrate(archive)

    def remeasured(self, entry: Entry, passed: bool, published: bool) -> None:
        """Tell the islands."""
        self._lines.remeasured(entry, passed, published)
