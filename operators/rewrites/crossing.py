"""Crosses two programs by structure: rewrites that led to one are applied to the other, or functions change places."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import libcst as cst

from archives.candidate import Candidate, digest, fingerprint
from operators.catalogue import REWRITE_CROSS
from operators.program_tree import Unreadable
from operators.proposal import Context, Proposal, ProposalError
from operators.rewrites.families import FAMILIES, refused
from operators.rewrites.printing import code
from operators.rewrites.program import Program, Site, read
from operators.rewrites.telling import tell, tell_unread

BY_NAME = {family.name: family for family in FAMILIES}


@dataclass(frozen=True, slots=True)
class RewriteCross:
    """Makes a child that has the rewrites of both parents, or one parent's text for a function of the other."""

    @property
    def name(self) -> str:
        """The name in the journal and in tables."""
        return REWRITE_CROSS

    @property
    def arity(self) -> int:
        """How many parents `propose` takes."""
        return 2

    def propose(self, parents: Sequence[Candidate], context: Context) -> Proposal:
        """Try both ways in both directions, in random order, until the program is new."""
        first, second = parents
        try:
            children = [*_rewritten(first, second, context.lineages), *_exchanged(first, second)]
        except (Unreadable, RecursionError) as error:
            tell_unread(f"{first.id} or {second.id}", str(error))
            raise ProposalError(f"programs {first.id} and {second.id} cannot be crossed: {error}") from error
        for index in context.rng.permutation(len(children)):
            source, intent = children[int(index)]
            if source not in (first.source, second.source) and not context.known(fingerprint(source)):
                return Proposal(source, intent)
        raise ProposalError(f"programs {first.id} and {second.id} have no rewrite or function to give each other")


def families_in(intent: str) -> list[str]:
    """List the families of rewrites that an intent names, in its order."""
    return [word for word in re.split(r"[:,\s]+", intent) if word in BY_NAME]


def _rewritten(first: Candidate, second: Candidate,
               lineages: Sequence[Sequence[str]]) -> Iterator[tuple[str, str]]:  # fmt: skip
    """Give each parent with the rewrites that only the other has, as far as they apply."""
    led = [dict.fromkeys(name for intent in intents for name in families_in(intent)) for intents in lineages]
    if len(led) != 2:
        return
    for parent, own, other in ((first, led[0], led[1]), (second, led[1], led[0])):
        source, applied = parent.source, []
        for name in (n for n in other if n not in own and not refused(n)):
            program = read(source)
            new = program.rewritten(name, program.places(BY_NAME[name])) or source
            applied += [name] if new != source else []
            tell(program, digest(source))
            source = new
        if applied:
            yield source, f"{', '.join(applied)}: as another parent has been rewritten, in {parent.id}"


def _exchanged(first: Candidate, second: Candidate) -> Iterator[tuple[str, str]]:
    """Give each parent with one jit function of the other, of equal name and parameters."""
    programs = [read(parent.source) for parent in (first, second)]
    for parent, (program, other) in ((first, programs), (second, programs[::-1])):
        for name in sorted(program.kernels.keys() & other.kernels.keys()):
            site = _exchange(program, other, name)
            made = None if site is None else program.rewritten(REWRITE_CROSS, [site])
            tell(program, parent.id)
            if made is not None:
                yield made, f"{name} as another parent has it, in {parent.id}"


def _exchange(program: Program, other: Program, name: str) -> Site | None:
    mine, theirs = (p.function(p.kernels[name]) for p in (program, other))
    same = [code(a) == code(b) for a, b in zip((mine.params, mine.body), (theirs.params, theirs.body), strict=True)]
    decorated = [code(d.decorator) for d in mine.decorators] == [code(d.decorator) for d in theirs.decorators]
    if same != [True, False] or not decorated:
        return None
    return Site(name, ((program.tree.path(mine.body), partial(_becoming, body=theirs.body)),))


def _becoming(node: cst.CSTNode, body: cst.BaseSuite) -> cst.BaseSuite:
    return body
