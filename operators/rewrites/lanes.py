"""Reads a kernel of one-dimensional blocks: which values differ from program to program, and where shapes show."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import libcst as cst

from operators.launches import Kernel
from operators.remembering import remembered
from operators.rewrites.program import Program, dotted, keyword
from operators.walking import named, of_kind

EACH_ALONE = (
    "exp", "exp2", "log", "log2", "sqrt", "rsqrt", "sqrt_rn", "abs", "maximum", "minimum", "where", "sigmoid", "fma",
    "cdiv", "floor", "ceil", "cos", "sin", "erf", "clamp", "cast", "float32", "range", "static_range", "umulhi",
)  # fmt: skip
REDUCING = ("sum", "max", "min")
HINTS = ("multiple_of", "max_contiguous")
PLAIN = ("float", "range")
_REFUSED = (cst.Subscript, cst.IfExp, cst.BooleanOperation, cst.NamedExpr, cst.Lambda)


@dataclass(slots=True)
class Lanes:
    """The calls of a kernel whose shape depends on how many rows a program has."""

    ranges: list[cst.Call] = field(default_factory=list)
    blocks: list[cst.Call] = field(default_factory=list)
    reductions: list[cst.Call] = field(default_factory=list)
    hints: list[cst.Call] = field(default_factory=list)
    accesses: list[cst.Call] = field(default_factory=list)


@remembered
def lanes(program: Program, kernel: Kernel, asked: tuple[cst.Call, ...]) -> Lanes | None:
    """Return the calls to change if every row of a tile can be what a program was, else None; nobody changes them."""
    function = program.function(kernel)
    lines = list(_lines(function.body))
    if any(line is None for line in lines):
        return None
    own = _own(lines, asked)
    looped = {line for line in lines if line is not None and program.within(line)} if kernel.scope.loops else set()
    shaped = _shaped(lines, own, looped)
    found = Lanes()
    for line in lines:
        if line is None or _unsteady(line, own, shaped, looped):
            return None
        for node in of_kind(line.iter if type(line) is cst.For else line, cst.Call, *_REFUSED):
            if type(node) is not cst.Call or not _sorted(node, own, asked, found):
                return None
    return found


def _lines(block: cst.BaseSuite) -> Iterator[cst.CSTNode | None]:
    """Give the statements of a kernel, loops before what is in them; None for one of another kind."""
    for statement in block.body:
        if type(statement) is cst.For:
            yield statement if type(statement.target) is cst.Name and statement.orelse is None else None
            yield from _lines(statement.body)
        elif type(statement) is cst.SimpleStatementLine:
            known = (cst.Assign, cst.AugAssign, cst.Expr, cst.Pass)
            yield from [part if type(part) in known else None for part in statement.body]
        else:
            yield None


def _own(lines: list[cst.CSTNode | None], asked: tuple[cst.Call, ...]) -> set[str]:
    """Return the names whose values depend on the number of the program."""
    own: set[str] = set()
    waiting: list[Any] = [line for line in lines if type(line) in (cst.Assign, cst.AugAssign)]
    before = -1
    while len(own) != before:
        before, left = len(own), []
        for line in waiting:
            if depends(line.value, own, asked):
                own.update(_targets(line))
            else:
                left.append(line)
        waiting = left
    return own


def depends(node: cst.CSTNode, own: set[str], asked: tuple[cst.Call, ...]) -> bool:
    """Tell whether an expression depends on the number of the program."""
    return not own.isdisjoint(named(node)) or any(call is one for call in of_kind(node, cst.Call) for one in asked)


def _targets(line: cst.Assign | cst.AugAssign) -> list[str]:
    targets = [line.target] if not isinstance(line, cst.Assign) else [t.target for t in line.targets]
    return [n.value for target in targets for n in of_kind(target, cst.Name)]


def _shaped(lines: list[cst.CSTNode | None], own: set[str], looped: set[cst.CSTNode]) -> set[str]:
    """Return the names that are given a value before loops which has no rows as those in loops have."""
    found: set[str] = set()
    for line in lines:
        if type(line) is cst.Assign and line not in looped:
            made = type(line.value) is cst.Call and dotted(line.value.func, "zeros", "full")
            rest = own & named(line.value)
            found.update(name for name in _targets(line) if not made and rest <= {name})
    return found


def _unsteady(line: cst.CSTNode, own: set[str], shaped: set[str], looped: set[cst.CSTNode]) -> bool:
    """Tell whether a loop's length differs from row to row, or a value would change its shape in a loop."""
    if type(line) is cst.For:
        return not own.isdisjoint(named(line.iter))
    if line not in looped or not isinstance(line, (cst.Assign, cst.AugAssign)):
        return False
    return any(name in shaped and name in own for name in _targets(line))


def _sorted(call: cst.Call, own: set[str], asked: tuple[cst.Call, ...], found: Lanes) -> bool:
    """Put a call where it belongs; tell whether it works on each row alone."""
    if any(call is one for one in asked) or _plain(call):
        return True
    if dotted(call.func, "arange"):
        found.ranges.append(call)
    elif dotted(call.func, "zeros", "full"):
        found.blocks.append(call)
        shape = call.args[0].value if call.args and call.args[0].keyword is None else None
        return isinstance(shape, (cst.Tuple, cst.List)) and len(shape.elements) == 1
    elif dotted(call.func, *REDUCING):
        found.reductions.append(call)
        return _first_axis(call)
    elif dotted(call.func, *HINTS):
        found.hints.append(call)
    elif dotted(call.func, "load", "store"):
        return _access(call, own, asked, found)
    else:
        return False
    return True


def _access(call: cst.Call, own: set[str], asked: tuple[cst.Call, ...], found: Lanes) -> bool:
    loads = dotted(call.func, "load")
    by_place = [a for a in call.args if a.keyword is None and not a.star]
    if len(by_place) != (1 if loads else 2) or keyword(call, "boundary_check") or any(a.star for a in call.args):
        return False
    if depends(by_place[0].value, own, asked):
        found.accesses.append(call)
        return True
    mask = keyword(call, "mask")
    return loads and not (mask and depends(mask.value, own, asked))


def _first_axis(call: cst.Call) -> bool:
    """Tell whether a reduction is one along the first axis and nothing more."""
    if not call.args or call.args[0].keyword is not None or len(call.args) > 2:
        return False
    axis = call.args[1] if len(call.args) == 2 else None
    named = axis is None or axis.keyword is None or axis.keyword.value == "axis"
    return named and (axis is None or (type(axis.value) is cst.Integer and int(axis.value.value, 0) == 0))


def _plain(call: cst.Call) -> bool:
    if type(call.func) is cst.Name:
        return call.func.value in PLAIN
    method = type(call.func) is cst.Attribute and call.func.attr.value == "to"
    return method or dotted(call.func, *EACH_ALONE)
