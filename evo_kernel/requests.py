"""What the search asks for: one program, of one operator, from these parents."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from archives.candidate import Candidate
from operators.proposal import Observed


@dataclass(frozen=True, slots=True)
class Request:
    """One question to one operator, and what was known of its parents' structure when it was asked."""

    number: int
    operator: str
    parents: tuple[Candidate, ...]
    seed: int
    model: str = ""  # which is asked; none by an operator that needs none
    relatives: tuple[Observed, ...] = field(default=(), compare=False, repr=False)
    pending: tuple[str, ...] = field(default=(), compare=False, repr=False)
    credit: Mapping[str, tuple[float, float, float]] = field(default_factory=dict, compare=False, repr=False)
    lineages: tuple[tuple[str, ...], ...] = field(default=(), compare=False, repr=False)
    times: tuple[Mapping[str, float], ...] = field(default=(), compare=False, repr=False)  # of each parent, by case
    ran: frozenset[str] = field(default=frozenset(), compare=False, repr=False)  # kernels of the first parent

    @property
    def rng(self) -> np.random.Generator:
        """A fresh generator that belongs to this request's operator alone."""
        return own_rng(self.seed, self.number)


def own_rng(seed: int, number: int) -> np.random.Generator:
    """Return the generator of one request's operator."""
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(number, 1)))
