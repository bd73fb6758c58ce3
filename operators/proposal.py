"""The joint between the search and everything that makes new programs."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from archives.candidate import Candidate
from operators.tune.constraints import Constraint
from suites import Case


class ProposalError(Exception):
    """An operator has nothing to give for these parents; the message says why. It costs no evaluation."""


@dataclass(frozen=True, slots=True)
class Proposal:
    """A new program and, in a few words, what it tries; `structure` is None where the program's own text tells it."""

    source: str
    intent: str
    structure: str | None = None


@dataclass(frozen=True, slots=True)
class Observed:
    """A program that was judged, with its time, or None if it failed, and its structure."""

    source: str
    time_us: float | None
    structure: str


@dataclass(frozen=True, slots=True)
class Timed:
    """A task's public cases, the name of its launcher, and how long each parent takes in each case, by its name."""

    entry: str
    cases: tuple[Case, ...]
    times: tuple[Mapping[str, float], ...]


@dataclass(frozen=True, slots=True)
class Context:
    """What an operator may know besides the parents.

    `rng` belongs to this one request: draw from nothing else. `known` tells whether a fingerprint was already
    proposed in this run, so an operator can draw again before it gives a program that would be thrown away.
    `target` is the chip's name, `backend` Triton's ("hip" or "cuda"). `relatives` are programs judged so far: those of
    the first parent's structure, then those of structures next to it in descent, each in order of judging. `pending`
    are sources of its structure that are being judged now.
    `credit` holds of each family of rewrites how often it made a program faster on this task and target, how often not,
    and the sum of the gains' logarithms.
    `lineages` holds, for an operator that crosses by structure, the intents of the rewrites that led to each parent.
    `constraints` are conditions that a person set on knobs. `timed` says how long each of two parents takes where.
    `ran` are the names of the first parent's kernels that ran in the task's cases; none where that is not known.
    """

    rng: np.random.Generator
    known: Callable[[str], bool]
    target: str
    backend: str
    relatives: tuple[Observed, ...] = ()
    pending: tuple[str, ...] = ()
    credit: Mapping[str, tuple[float, float, float]] = field(default_factory=dict)
    lineages: tuple[tuple[str, ...], ...] = ()
    constraints: tuple[Constraint, ...] = ()
    timed: Timed | None = None
    ran: frozenset[str] = frozenset()


class Operator(Protocol):
    """Makes one new program from `arity` parents, or raises ProposalError."""

    @property
    def name(self) -> str:
        """The name in the journal and in tables."""

    @property
    def arity(self) -> int:
        """How many parents `propose` takes."""

    def propose(self, parents: Sequence[Candidate], context: Context) -> Proposal:
        """Make one program that differs from every parent."""
