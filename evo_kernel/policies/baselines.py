"""What the archive has to beat: independent tries, one chain of refinements, and several chains side by side."""

import numpy as np

from archives.archive import Archive, Entry
from evo_kernel.lines import Line, Lines
from evo_kernel.policies.policy import View


class BestOfN:
    """Every program is one step from a seed, and the best of all is kept."""

    crosses = tunes = False
    heeds: frozenset[str] = frozenset()

    def parent(self, view: View, rng: np.random.Generator) -> str:
        """Choose one of the seeds that passed, or the best where none did."""
        passed = [s for s in view.seeds if s in view.archive.history]
        if not passed:
            assert view.archive.best is not None, "nothing is asked before a program has passed"
            return view.archive.best
        return passed[int(rng.integers(len(passed)))]

    def seeded(self, entry: Entry, published: bool) -> None:
        """Remember nothing."""

    def judged(self, number: int, entry: Entry | None, archive: Archive, spent: float) -> None:
        """Remember nothing."""

    def remeasured(self, entry: Entry, passed: bool, published: bool) -> None:
        """Remember nothing."""


class Restarts:
    """Chains side by side that know nothing of each other; with one chain, the policy `sequential`.

    A chain refines its best program. After `patience` failures in a row it leaves that one for any other of its
    programs, until one of its programs passes.
    """

    crosses = tunes = False
    heeds: frozenset[str] = frozenset()

    def __init__(self, chains: int, patience: int) -> None:
        self._lines, self._patience = Lines(chains), patience

    def parent(self, view: View, rng: np.random.Generator) -> str:
        """Choose from the chain whose turn it is."""
        chain: Line = self._lines.of(view.number)
        best = chain.best or view.archive.best
        assert best is not None, "nothing is asked before a program has passed"
        if chain.failures < self._patience or len(chain.history) < 2:
            return best
        others = [one for one in chain.history.sample(2, rng) if one != best]
        return others[0]

    def seeded(self, entry: Entry, published: bool) -> None:
        """Begin every chain with the seed."""
        self._lines.seeded(entry, published)

    def judged(self, number: int, entry: Entry | None, archive: Archive, spent: float) -> None:
        """Give a program to its chain."""
        self._lines.judged(self._lines.of(number), entry, entry is not None and archive.published(entry))

    def remeasured(self, entry: Entry, passed: bool, published: bool) -> None:
        """Tell the chains."""
        self._lines.remeasured(entry, passed, published)
