"""A crossover by shape: one launcher that calls whichever of two programs is faster for what it is given.

No single program is the fastest for rows of 4,096 and of 4,099 numbers, or for 2 and 4 bytes a number. Which one is
called is decided by a simple condition on sizes, strides and dtypes; it names no case, and the judge sees whether it
pays, on held-out cases too.
"""

import ast
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from archives.candidate import Candidate, fingerprint
from operators.catalogue import DISPATCH
from operators.proposal import Context, Proposal, ProposalError, Timed
from operators.rewrites import conditions
from operators.rewrites.joining import CannotJoin, Joined, Module, join

WORTH = 1.005  # times faster than the better parent, by the parents' times: less is the clock's noise
TRIED = 8  # conditions at most


@dataclass(frozen=True, slots=True)
class Dispatch:
    """Makes a launcher that tests its arguments and goes one parent's way or the other's."""

    @property
    def name(self) -> str:
        """The name in the journal and in tables."""
        return DISPATCH

    @property
    def arity(self) -> int:
        """How many parents `propose` takes."""
        return 2

    def propose(self, parents: Sequence[Candidate], context: Context) -> Proposal:
        """Take the condition under which both together are fastest, or the next if that program is known."""
        first, second = parents
        if context.timed is None:
            raise ProposalError(f"nothing is known of the times of {first.id} and {second.id} case by case")
        try:
            entry = Module.read(first.source).entry(context.timed.entry)
            joined = join(first.source, second.source, context.timed.entry)
        except CannotJoin as error:
            raise ProposalError(f"programs {first.id} and {second.id} cannot be joined: {error}") from error
        for text, gain in _worth(entry, context.timed):
            source = written(joined, entry, text)
            if not context.known(fingerprint(source)):
                told = f"{second.id[:8]} where {text}, else {first.id[:8]}"
                return Proposal(source, f"{told}: {gain:.2f}x by their times")
        raise ProposalError(f"no condition on shapes makes {first.id} and {second.id} faster together")


def _worth(entry: ast.FunctionDef, timed: Timed) -> Iterator[tuple[str, float]]:
    """Give conditions for the second parent, the best first."""
    times = [conditions.times(by_case, timed.cases) for by_case in timed.times]
    if len(times) != 2 or times[0] is None or times[1] is None:
        return
    names = [a.arg for a in (*entry.args.posonlyargs, *entry.args.args)]
    if any(len(case.inputs) != len(names) for case in timed.cases):
        return
    found = conditions.conditions(names, timed.cases)
    ways = [(c.text, gain) for c, gain in conditions.best(found, times[0], times[1])]
    ways += [(f"not ({c.text})", gain) for c, gain in conditions.best(found, times[1], times[0])]
    ranked = sorted((way for way in ways if way[1] >= WORTH), key=lambda way: -way[1])
    yield from ranked[:TRIED]


def written(joined: Joined, entry: ast.FunctionDef, condition: str) -> str:
    """Return the joined programs with a launcher that chooses."""
    given = ", ".join(a.arg for a in (*entry.args.posonlyargs, *entry.args.args))
    returns = f" -> {ast.unparse(entry.returns)}" if entry.returns is not None else ""
    launcher = (
        f"def {entry.name}({ast.unparse(entry.args)}){returns}:\n"
        f"    if {condition}:\n"
        f"        return {joined.second}({given})\n"
        f"    return {joined.first}({given})\n"
    )
    return f"{joined.text}\n\n{launcher}"
