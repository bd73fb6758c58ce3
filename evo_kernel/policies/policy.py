"""What a policy is asked and told."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from archives.archive import Archive, Entry


@dataclass(frozen=True, slots=True)
class View:
    """What a policy sees when a request is made."""

    archive: Archive
    seeds: Sequence[str]
    number: int  # of the request
    stagnant: bool  # nothing has improved for long
    dry: bool  # the operators had nothing new for the last request


class Policy(Protocol):
    """Chooses first parents. What it remembers is a function of what it is told, so that replay rebuilds it."""

    @property
    def crosses(self) -> bool:
        """Whether it uses operators of two parents."""

    @property
    def tunes(self) -> bool:
        """Whether it uses the tuner, which learns from all that was judged."""

    @property
    def heeds(self) -> frozenset[str]:
        """The mechanisms of choosing parents that it has, by their names on the command line."""

    def parent(self, view: View, rng: np.random.Generator) -> str:
        """Return the id of a program that the archive holds."""

    def seeded(self, entry: Entry, published: bool) -> None:
        """Hear of a program that came with the run and passed."""

    def judged(self, number: int, entry: Entry | None, archive: Archive, spent: float) -> None:
        """Hear of a verdict: the entry, or None for a failure or known code; `spent` is the share of the budget."""

    def remeasured(self, entry: Entry, passed: bool, published: bool) -> None:
        """Hear what a device said of a program later."""
