"""Loads and stores without masks where every block is full, with the masked kernel kept for all else."""

from collections.abc import Iterator
from dataclasses import astuple, dataclass
from functools import partial
from typing import Any

import libcst as cst

from operators.launches import Kernel, Launch
from operators.program_tree import copied
from operators.remembering import remembered
from operators.rewrites.aligned import in_units
from operators.rewrites.bounds import DEEPEST
from operators.rewrites.extents import covers
from operators.rewrites.hints import loop_of, sized
from operators.rewrites.printing import code
from operators.rewrites.program import Program, Site, dotted, keyword
from operators.rewrites.programs import axis_of
from operators.rewrites.reductions import bounds
from operators.rewrites.special import Choice, passed, replaced, specialised
from operators.rewrites.templates import ATOMS

ONCE, LOOP, GRID = "once", "loop", "grid"


@dataclass(frozen=True, slots=True)
class Full:
    """A size that blocks fill: parameters of a kernel.

    A block that begins at 0 ONCE fills no more than a size that is not smaller. Those of a LOOP up to the size fill it
    where they divide it, and so do those of programs, where the GRID counts them by the same size (`axis`: on which of
    its axes alone).
    """

    size: str
    block: str
    kept_by: str
    axis: int | None = None

    def test(self, size: str, block: str) -> str:
        """Say when it is so, in a launcher's words for both."""
        return f"{size} >= {block}" if self.kept_by == ONCE else f"{size} % {block} == 0"


@dataclass(frozen=True, slots=True)
class Unmasked:
    """A kernel without masks, launched where blocks divide sizes."""

    name: str = "drop-masks"
    intent: str = "leave masks out where every block is full"

    def sites(self, program: Program) -> Iterator[Site]:
        """Find kernels all of whose masks say that offsets within blocks stay below a size."""
        for kernel in program.kernels.values():
            wanted = _wanted(program, kernel)
            if not wanted or kernel.name.endswith("_full"):
                continue
            said = " and ".join(sorted({one.test(one.size, one.block) for one in wanted}))
            unmasked = partial(replaced, found=_masked, edit=_bare, kinds=(cst.Call,))
            site = specialised(program, kernel, "full", unmasked, partial(_divides, wanted=wanted), said)
            if site is not None:
                yield site


def _masked(node: cst.CSTNode) -> bool:
    return type(node) is cst.Call and dotted(node.func, "load", "store") and keyword(node, "mask") is not None


def _bare(call: cst.Call) -> cst.Call:
    kept = [a for a in call.args if a.keyword is None or a.keyword.value not in ("mask", "other")]
    comma: Any = call.args[-1].comma
    return copied(call, {"args": (*kept[:-1], copied(kept[-1], {"comma": comma}))})


def _wanted(program: Program, kernel: Kernel) -> set[Full] | None:
    """Return what blocks must fill for all masks of a kernel to hold, None where one cannot be told."""
    found: set[Full] = set()
    for call, home in program.calls("load", "store"):
        mask = keyword(call, "mask")
        if home.scope is not kernel.scope or mask is None:
            continue
        told = _conditions(program, kernel, mask.value)
        if told is None:
            return None
        found |= told
    return found


def _conditions(program: Program, kernel: Kernel, mask: cst.CSTNode, within: tuple[str, ...] = ()) -> set[Full] | None:
    if type(mask) is cst.BinaryOperation and type(mask.operator) is cst.BitAnd:
        left, right = (_conditions(program, kernel, side, within) for side in (mask.left, mask.right))
        return None if left is None or right is None else left | right
    if type(mask) is cst.Subscript:
        return _conditions(program, kernel, mask.value, within)
    if type(mask) is cst.Name:
        if mask.value in within or len(within) == DEEPEST:
            return None
        found: set[Full] = set()
        for value in kernel.scope.bindings.get(mask.value, [None]):
            told = None if value is None else _conditions(program, kernel, value, (*within, mask.value))
            if told is None:
                return None
            found |= told
        return found
    if type(mask) is not cst.Comparison or len(mask.comparisons) != 1:
        return None
    only = mask.comparisons[0]
    offsets = mask.left.value if type(mask.left) is cst.Subscript else mask.left
    if type(only.operator) is not cst.LessThan or type(offsets) is not cst.Name:
        return None
    end = only.comparator
    if type(end) is cst.Name:
        full = _named(program, kernel, offsets.value, end.value)
    else:
        full = _every(program, kernel, offsets.value, end)
    return None if None in full or not full else {one for one in full if one is not None}


@remembered
def _named(program: Program, kernel: Kernel, offsets: str, end: str) -> frozenset[Full | None]:
    """Return what offsets and an end say by their names alone, wherever they are compared."""
    return _every(program, kernel, offsets, cst.Name(end))


def _every(program: Program, kernel: Kernel, offsets: str, end: cst.BaseExpression) -> frozenset[Full | None]:
    return frozenset(_full(program, kernel, value, end) for value in kernel.scope.bindings.get(offsets, ()))


def _full(program: Program, kernel: Kernel, offsets: cst.CSTNode | None, end: cst.BaseExpression) -> Full | None:
    """Return when offsets, as one line gives them, stay below an end that is a size or what is left of it."""
    begun = _sides(offsets, cst.Add)
    start, lanes = (None, offsets) if begun is None else begun
    taken = _sides(_only(kernel, end), cst.Subtract)
    size, done = (end, None) if taken is None else taken
    block = sized(lanes) if isinstance(lanes, cst.BaseExpression) else None
    if block is None or type(size) is not cst.Name or not _as_passed(kernel, size.value):
        return None
    if start is None and done is None:
        return Full(size.value, block, ONCE)
    first = start or done
    one = first is not None and (start is None or done is None)
    return _from(program, kernel, first, size.value, block) if one and first is not None else None


def _sides(
    node: cst.CSTNode | None, kind: type[cst.BaseBinaryOp]
) -> tuple[cst.BaseExpression, cst.BaseExpression] | None:
    """Return both sides of an operation, if it is of a kind."""
    same = type(node) is cst.BinaryOperation and isinstance(node.operator, kind)
    return (node.left, node.right) if same and type(node) is cst.BinaryOperation else None


def _from(program: Program, kernel: Kernel, start: cst.BaseExpression, size: str, block: str) -> Full | None:
    """Return when the blocks that begin at a product with their size, or at a loop's steps, stay below an end."""
    loop = loop_of(program, start)
    if loop is not None:
        told = bounds(loop)
        return Full(size, block, LOOP) if told is not None and tuple(map(code, told)) == (size, block) else None
    factors = _sides(start, cst.Multiply)
    if factors is None or block not in map(code, factors):
        return None
    return Full(size, block, GRID, _axis(kernel, factors[0] if code(factors[1]) == block else factors[1]))


def _axis(kernel: Kernel, number: cst.BaseExpression) -> int | None:
    """Return the axis of the grid that a block's number is the program's number on, None where it is computed."""
    value = _only(kernel, number)
    if type(value) is cst.Call and type(value.func) is cst.Attribute and value.func.attr.value == "to":
        value = _only(kernel, value.func.value)
    return axis_of(value) if type(value) is cst.Call and dotted(value.func, "program_id") else None


def _only(kernel: Kernel, node: cst.BaseExpression) -> cst.CSTNode:
    """Return what a name is bound to, where that is one thing, or an expression itself."""
    values = kernel.scope.bindings.get(node.value, ()) if type(node) is cst.Name else ()
    return values[0] if len(values) == 1 and values[0] is not None else node


def _as_passed(kernel: Kernel, size: str) -> bool:
    """Tell whether a size is a parameter that the kernel leaves as it is."""
    later = kernel.scope.bindings.get(size, [])[1:]
    return size in kernel.positional and all(v is not None and code(v) == in_units(size) for v in later)


def _divides(launch: Launch, wanted: set[Full]) -> Choice | None:
    tests, blocks = [], {}
    for one in sorted(wanted, key=astuple):
        given, by = passed(launch, one.size), passed(launch, one.block)
        named = any(a.keyword is not None and a.keyword.value == one.block for a in launch.call.args)
        if given is None or not isinstance(by, (cst.Integer, cst.Name)) or not named:
            return None
        if one.kept_by == GRID and not covers(launch, one.size, one.block, one.axis):
            return None
        # one name for the number in test and launches, or the tuner would move one of them
        name = by.value if type(by) is cst.Name else f"{one.block.lower()}_size"
        blocks[one.block] = (name, None if type(by) is cst.Name else by.value)
        plain = code(given) if isinstance(given, ATOMS) else f"({code(given)})"
        tests.append(one.test(plain, name))
    return Choice(" and ".join(dict.fromkeys(tests)), both=blocks)
