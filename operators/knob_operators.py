"""Operators that change nothing but a program's tunable numbers: one moves them, one crosses two programs'."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np

from archives.candidate import Candidate, fingerprint
from operators.knob_constraints import fits, met
from operators.knob_groups import Group, alive, groups
from operators.knobs import Knob, find, rewrite, structure, values
from operators.proposal import Context, Proposal, ProposalError

DRAWS = 32
TOGETHER = 0.5  # share of moves that take copies of a kernel along, where it has some: both may be better

Values = Mapping[str, int | None]


@dataclass(frozen=True, slots=True)
class KnobStep:
    """Moves one or two knobs, mostly to a neighbouring legal value; `jump` is the chance of any other value.

    Kernels that ran in no case are left alone, and copies of one often move together (`knob_groups`).
    """

    jump: float = 0.25

    @property
    def name(self) -> str:
        """The name in the journal and in tables."""
        return "knob-step"

    @property
    def arity(self) -> int:
        """How many parents `propose` takes."""
        return 1

    def propose(self, parents: Sequence[Candidate], context: Context) -> Proposal:
        """Change a parent's knobs until the program is new."""
        (parent,) = _exactly(1, parents, self.name)
        knobs = find(parent.source, context.backend)
        if not knobs:
            raise ProposalError(f"program {parent.id} has no knobs on {context.backend}")
        alone = [(knob,) for knob in alive(knobs, context.ran)]
        tied = groups(knobs, context.ran)
        for _ in range(DRAWS):
            together = len(tied) < len(alone) and context.rng.random() < TOGETHER
            changes = self._draw(tied if together else alone, context.rng)
            source = _fresh(parent.source, changes, context)
            if source is not None:
                before = {knob.name: knob.value for knob in knobs}
                return Proposal(source, _intent(before, changes))
        raise ProposalError(f"{DRAWS} draws of {len(knobs)} knobs of program {parent.id} gave nothing new")

    def _draw(self, some: Sequence[Group], rng: np.random.Generator) -> dict[str, int | None]:
        count = min(len(some), 2 if rng.random() < 0.5 else 1)
        chosen = sorted(rng.choice(len(some), size=count, replace=False))
        moved = [(some[index], self._move(some[index][0], rng)) for index in chosen]
        return {knob.name: value for group, value in moved for knob in group}

    def _move(self, knob: Knob, rng: np.random.Generator) -> int:
        others = [value for value in knob.legal if value != knob.value]
        if rng.random() >= self.jump:
            others = _neighbours(knob, others)
        return others[rng.integers(len(others))]


@dataclass(frozen=True, slots=True)
class KnobCross:
    """Takes each knob that differs between two programs of one structure from either of them."""

    @property
    def name(self) -> str:
        """The name in the journal and in tables."""
        return "knob-cross"

    @property
    def arity(self) -> int:
        """How many parents `propose` takes."""
        return 2

    def propose(self, parents: Sequence[Candidate], context: Context) -> Proposal:
        """Write some of the second parent's values into the first until the program is new."""
        first, second = _exactly(2, parents, self.name)
        if structure(first.source) != structure(second.source):
            raise ProposalError(f"programs {first.id} and {second.id} differ in more than knobs")
        before, theirs = values(first.source), values(second.source)
        differing = [name for name in before if before[name] != theirs[name]]
        if len(differing) < 2:
            raise ProposalError(
                f"programs {first.id} and {second.id} differ in {len(differing)} knobs: a mix needs two"
            )
        for taken in _mixes(len(differing), context.rng):
            changes = {name: theirs[name] for name, take in zip(differing, taken, strict=True) if take}
            source = _fresh(first.source, changes, context)
            if source is not None:
                return Proposal(source, _intent(before, changes))
        raise ProposalError(f"the mixes drawn of {first.id} and {second.id} are all known")


def _mixes(count: int, rng: np.random.Generator) -> Iterator[tuple[bool, ...]]:
    """Give choices between two parents, neither of them all one parent's: every one if few, else some."""
    if 2**count <= DRAWS:
        every = [mix for mix in product((False, True), repeat=count) if len(set(mix)) == 2]
        yield from (every[index] for index in rng.permutation(len(every)))
        return
    for _ in range(DRAWS):
        mix = tuple(bool(take) for take in rng.random(count) < 0.5)
        if len(set(mix)) == 2:
            yield mix


def _neighbours(knob: Knob, others: Sequence[int]) -> list[int]:
    """Return the next value down and the next up, counted from the default where an option is left out."""
    here = knob.value if knob.value is not None else knob.default
    if here is None:
        return list(others)
    down = [value for value in others if value < here][-1:]
    return down + [value for value in others if value > here][:1]


def _fresh(source: str, changes: Values, context: Context) -> str | None:
    """Rewrite a program; None if the result is known, breaks a constraint, or has no longer the same knobs.

    Tiles that no longer fit are refused too, but not where the parent's do not: smaller ones may be steps away.
    """
    new = rewrite(source, changes)
    # Two values that become equal can tie to one number of a grid, which from then on follows both.
    known = context.known(fingerprint(new))
    if known or structure(new) != structure(source) or not met(new, context.backend, context.constraints):
        return None
    return new if fits(new, context.backend) or not fits(source, context.backend) else None


def _intent(before: Values, changes: Values) -> str:
    """Say what changes, such as `softmax_kernel.BLOCK 256 -> 1024; num_warps default -> 8`."""
    parts: list[str] = []
    last = ""
    for name, value in changes.items():
        owner, _, key = name.rpartition(".")
        parts.append(f"{key if owner == last else name} {_shown(before[name])} -> {_shown(value)}")
        last = owner
    return "; ".join(parts)


def _shown(value: int | None) -> str:
    return "default" if value is None else str(value)


def _exactly(count: int, parents: Sequence[Candidate], name: str) -> Sequence[Candidate]:
    if len(parents) != count:
        raise ValueError(f"{name} expected {count} parents, got {len(parents)}")
    return parents
