"""Loops that add up: what each name in them is, so that their turns can be dealt out to several programs."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import libcst as cst

from operators.launches import Kernel
from operators.program_tree import last_name
from operators.remembering import remembered
from operators.rewrites.effects import shows_effects
from operators.rewrites.printing import code
from operators.rewrites.program import Program, bound, dotted
from operators.walking import descend, named, of_kind

DTYPES = ("float32", "int32")
_PLAIN = (cst.Name, cst.Integer, cst.BinaryOperation, cst.BaseBinaryOp)  # of what a loop's size may be made


@dataclass(frozen=True, slots=True)
class Sum:
    """A name that a loop adds to, or takes the largest of, from the neutral value on."""

    name: str
    kind: str  # "sum" or "max", as tl calls what joins its lanes
    shape: tuple[str, ...]
    dtype: str  # "float32" or "int32"


@dataclass(frozen=True, slots=True)
class Reduction:
    """A loop from 0 to `size` in steps of `step` at a place of a kernel's body, and what it changes."""

    loop: cst.For
    place: int
    size: cst.BaseExpression
    step: cst.BaseExpression
    sums: tuple[Sum, ...]
    bumps: tuple[cst.AugAssign, ...]


def reductions(program: Program, kernel: Kernel) -> Iterator[Reduction]:
    """Find the loops of a kernel that do nothing but add up, with nothing stored before them."""
    body = program.function(kernel).body.body
    for place, line in enumerate(body):
        if type(line) is cst.For:
            found = _read(program, kernel, body, place)
            if found is not None:
                yield found
        if shows_effects(program, line):
            return


def _read(program: Program, kernel: Kernel, body: Sequence[Any], place: int) -> Reduction | None:
    loop = body[place]
    assert isinstance(loop, cst.For)
    values = bounds(loop)
    if (
        values is None
        or shows_effects(program, loop)
        or any(type(s) is not cst.SimpleStatementLine for s in loop.body.body)
    ):
        return None
    size, step = values
    early = set(kernel.positional).union(*(bound(line) for line in body[:place]))
    late = frozenset().union(*map(named, body[place + 1 :]))
    again = {n for line in body[place + 1 :] for n in bound(line)}
    names = set(bound(loop))
    if any(name in late and name not in again for name in names - early):
        return None
    sums: list[Sum] = []
    bumps: list[cst.AugAssign] = []
    for name in sorted(names & early):
        changed = [s for s in _small(loop) if name in bound(s)]
        start = _start(body[:place], name)
        found = {_sum(name, one, start) for one in changed}
        one = found.pop() if len(found) == 1 else None
        if one is not None and sum(_reads(loop, name)) == sum(type(c) is not cst.AugAssign for c in changed):
            sums.append(one)
        elif len(changed) == 1 and type(changed[0]) is cst.AugAssign and moves_evenly(changed[0], names):
            bumps.append(changed[0])
        else:
            return None
    return Reduction(loop, place, size, step, tuple(sums), tuple(bumps)) if sums else None


def joined_once(body: Sequence[Any], one: Sum) -> bool:
    """Tell whether statements read a sum only to join its lanes, those of each row where it has two dimensions."""
    reads = [n for line in body for n in of_kind(line, cst.Name) if n.value == one.name]
    joins = [
        call
        for line in body
        for call in of_kind(line, cst.Call)
        if dotted(call.func, one.kind)
        and call.args
        and call.args[0].value in reads
        and _axis(call) == str(len(one.shape) - 1)
    ]
    return 0 < len(reads) == len(joins)


def _axis(call: cst.Call) -> str:
    """Return along which axis a call joins lanes, nothing where it says more than that."""
    rest = call.args[1:]
    named = all(a.keyword is None or a.keyword.value == "axis" for a in rest)
    return "0" if not rest else code(rest[0].value) if named and len(rest) == 1 else ""


@remembered
def bounds(loop: cst.For) -> tuple[cst.BaseExpression, cst.BaseExpression] | None:
    """Return the size and the step of a loop from 0 on, where they are plain; a loop that names no step has 1.

    A loop that changes its variable, its size or its step has none.
    """
    over = loop.iter
    if type(over) is not cst.Call or type(loop.target) is not cst.Name or loop.orelse is not None:
        return None
    if not (named(loop.target) | named(over)).isdisjoint(bound(loop.body)):
        return None
    if not (type(over.func) is cst.Name and over.func.value == "range") and not dotted(over.func, "range"):
        return None
    given = [a.value for a in over.args if a.keyword is None and not a.star]
    zero = len(given) in (2, 3) and type(given[0]) is cst.Integer and int(given[0].value, 0) == 0
    if not zero or not all(isinstance(n, _PLAIN) for n in descend(given[1])):
        return None
    step = given[2] if len(given) == 3 else cst.Integer("1")
    return (given[1], step) if isinstance(step, (cst.Name, cst.Integer)) else None


def _small(loop: cst.For) -> Iterator[cst.BaseSmallStatement]:
    for line in loop.body.body:
        if type(line) is cst.SimpleStatementLine:
            yield from line.body


def _reads(loop: cst.For, name: str) -> Iterator[bool]:
    """Give a truth for every read of a name in a loop."""
    for small in _small(loop):
        value = getattr(small, "value", None)
        if value is not None:
            yield from (True for n in of_kind(value, cst.Name) if n.value == name)


def _start(body: Sequence[Any], name: str) -> cst.Call | None:
    """Return the last value bound to a name, where that is a call."""
    lines = [line for line in body if name in bound(line)]
    last = lines[-1].body[0] if lines and type(lines[-1]) is cst.SimpleStatementLine else None
    return last.value if type(last) is cst.Assign and type(last.value) is cst.Call else None


def _sum(name: str, changed: cst.BaseSmallStatement, start: cst.Call | None) -> Sum | None:
    shape, dtype = _shape(start), _dtype(start)
    if start is None or shape is None or dtype is None:
        return None
    zeros = dotted(start.func, "zeros")
    if type(changed) is cst.AugAssign and type(changed.operator) is cst.AddAssign and zeros:
        return Sum(name, "sum", shape, dtype)
    value = changed.value if type(changed) is cst.Assign and len(changed.targets) == 1 else None
    if type(value) is not cst.Call or not value.args:
        return None
    named = [type(a.value) is cst.Name and a.value.value == name for a in value.args]
    if dotted(value.func, "dot") and zeros and len(named) > 2 and named[2]:
        return Sum(name, "sum", shape, dtype)
    least = dotted(start.func, "full") and len(start.args) > 1 and _least(start.args[1].value)
    return Sum(name, "max", shape, dtype) if dotted(value.func, "maximum") and any(named) and least else None


def _shape(start: cst.Call | None) -> tuple[str, ...] | None:
    shape = start.args[0].value if start is not None and start.args else None
    if not isinstance(shape, (cst.Tuple, cst.List)):
        return None
    return tuple(code(e.value) for e in shape.elements)


def _dtype(start: cst.Call | None) -> str | None:
    """Return the type of the numbers in a new block, where a buffer of that type holds them."""
    last = start.args[-1].value if start is not None and len(start.args) > 1 else None
    return last_name(last) if last is not None and dotted(last, *DTYPES) else None


def _least(node: cst.BaseExpression) -> bool:
    text = code(node).replace("'", '"')
    return text in ('float("-inf")', '-float("inf")')


def moves_evenly(changed: cst.AugAssign, names: set[str]) -> bool:
    """Tell whether a name moves on by the same amount in every turn."""
    plain = not any(isinstance(n, (cst.Name, cst.Call)) and (isinstance(n, cst.Call) or n.value in names)
                    for n in descend(changed.value))  # fmt: skip
    return plain and type(changed.operator) is cst.AddAssign
