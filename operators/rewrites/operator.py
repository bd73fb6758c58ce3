"""The operator that changes a program's structure by one family of rewrites, at one place or at all."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from archives.candidate import Candidate, fingerprint
from operators.program_tree import Unreadable
from operators.proposal import Context, Proposal, ProposalError
from operators.rewrites.families import FAMILIES, refused
from operators.rewrites.idle import reached
from operators.rewrites.program import Program, Rewrite, Site, read
from operators.rewrites.telling import left, tell, tell_unread
from operators.uncollected import uncollected

USUAL, GUESSED = 0.05, 2.0  # logarithm of a gain that is expected of a family, and how many seen ones that is worth
CURIOSITY = 0.1  # share of proposals for which families are drawn alike, so that none vanishes
# families that can help no chip of a backend: Triton spells descriptors out as addresses where no hardware copies tiles
ELSEWHERE = {"cuda": ("xcd-remap",), "hip": ("tensor-descriptors",)}
_used: set[str] = set()  # families that were looked for and used ahead in this process
EVERYWHERE = 0.5  # share of proposals that rewrite all places of a family at once


@dataclass(frozen=True, slots=True)
class Rewriting:
    """Draws a family that applies, then a place or all of them; what was proposed before is drawn again."""

    families: tuple[Rewrite, ...] = FAMILIES

    @property
    def name(self) -> str:
        """The name in the journal and in tables."""
        return "rewrite"

    @property
    def arity(self) -> int:
        """How many parents `propose` takes."""
        return 1

    def propose(self, parents: Sequence[Candidate], context: Context) -> Proposal:
        """Rewrite a parent until the program is new; a family that raises on it is left out."""
        (parent,) = parents
        with uncollected():
            program = _read(parent)
            try:
                return self._drawn(program, parent, context)
            finally:
                tell(program, parent.id)

    def _drawn(self, program: Program, parent: Candidate, context: Context) -> Proposal:
        tried = 0
        useful = [f for f in self.families if f.name not in ELSEWHERE.get(context.backend, ()) and not refused(f.name)]
        for family in _ordered(useful, context):
            for sites in _choices(reached(program, program.places(family), context.ran), context.rng):
                tried += 1
                source = program.rewritten(family.name, sites)
                if source is None:
                    break
                if source != parent.source and not context.known(fingerprint(source)):
                    return Proposal(source, _intent(family, sites))
        why = "".join(f"; {left(kernel, why)}" for kernel, why in program.alone.items())
        raise ProposalError(
            f"none of {len(self.families)} rewrites applies to program {parent.id}{why}"
            if not tried
            else f"all {tried} rewrites of program {parent.id} were proposed before"
        )


def look(source: str) -> Iterator[None]:
    """Read a program and find where each family applies, a step each; what is found is remembered for proposals.

    A family's first use in a process parses the texts that it puts in: that is done here too, for nothing.
    """
    try:
        program = read(source)
    except (Unreadable, RecursionError):
        return
    for family in FAMILIES:
        yield
        sites = program.places(family)
        if sites and family.name not in _used:
            _used.add(family.name)
            program.rewritten(family.name, sites)


def _read(parent: Candidate) -> Program:
    try:
        return read(parent.source)
    except (Unreadable, RecursionError) as error:
        tell_unread(parent.id, str(error))
        raise ProposalError(f"program {parent.id} cannot be rewritten: {error}") from error


def _ordered(families: Sequence[Rewrite], context: Context) -> list[Rewrite]:
    """Order families by what one more try of each may plausibly gain, now and then without looking at the past."""
    rng = context.rng
    if rng.random() < CURIOSITY:
        return [families[int(index)] for index in rng.permutation(len(families))]
    outcomes = [context.credit.get(family.name, (0.0, 0.0, 0.0)) for family in families]
    draws = [worth(counts, rng) for counts in outcomes]
    return [families[int(index)] for index in np.argsort(draws)[::-1]]


def worth(counts: tuple[float, float, float], rng: np.random.Generator) -> float:
    """Draw what a family's next try may plausibly gain, as a logarithm, from its gains, misses and log-gains."""
    gains, misses, log_gain = counts
    return float(rng.beta(1 + gains, 1 + misses)) * (log_gain + GUESSED * USUAL) / (gains + GUESSED)


def _choices(sites: Sequence[Site], rng: np.random.Generator) -> Iterator[list[Site]]:
    """Give sets of places to rewrite: all and single ones, in random order."""
    if not sites:
        return
    order = [int(i) for i in rng.permutation(len(sites))]
    everywhere = [sites[i] for i in order]
    singles = [[sites[i]] for i in order] if len(sites) > 1 else []
    if rng.random() < EVERYWHERE:
        yield everywhere
        yield from singles
    else:
        yield from singles
        yield everywhere


def _intent(family: Rewrite, sites: Sequence[Site]) -> str:
    groups = {site.group or number + (1 << 32) for number, site in enumerate(sites)}
    where = sites[0].what if len(groups) == 1 else f"{len(groups)} places"
    return f"{family.name}: {family.intent} ({where})"


def sites_of(program: Program) -> dict[str, list[Site]]:
    """List where every family applies, by its name; families that do not apply are left out."""
    found = {family.name: list(program.places(family)) for family in FAMILIES}
    return {name: sites for name, sites in found.items() if sites}
