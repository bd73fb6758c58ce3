"""Rows from their first aligned element on: what a row begins with is done apart, so that whole steps are wide."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import libcst as cst

from operators.launches import Kernel, Launch
from operators.program_tree import copied
from operators.rewrites.bounds import Masks, accesses, masks
from operators.rewrites.full import whole_steps, without_known
from operators.rewrites.printing import code
from operators.rewrites.program import Program, Site, bound, dotted
from operators.rewrites.reductions import bounds
from operators.rewrites.special import Choice, passed, replaced, specialised
from operators.rewrites.sums import addends
from operators.rewrites.templates import expression, statement
from operators.walking import of_kind

UNIT = 16  # elements: Triton itself sees where 16 divides a stride
NEW = ("begin", "first", "head", "steps", "lanes")


@dataclass(frozen=True, slots=True)
class _Loop:
    """A loop over a row: its offsets' line, and for every address of a row the pointer that it counts from."""

    loop: cst.For
    line: cst.Assign
    pointers: Mapping[cst.CSTNode, str]


@dataclass(frozen=True, slots=True)
class _Rows:
    """The loops of a kernel over rows that begin at `row * stride` elements, and are `size` long."""

    row: str
    strides: tuple[str, ...]
    size: str
    block: str
    loops: tuple[_Loop, ...]


@dataclass(frozen=True, slots=True)
class Peeled:
    """A copy of a kernel of rows, launched where 16 does not divide their stride.

    Every loop is three: up to the first element whose number 16 divides, whole steps without masks, and the rest. That
    the steps are aligned follows from how their addresses are computed: nothing is promised to the compiler.
    """

    name: str = "aligned-start"
    intent: str = "begin wide loads and stores at the first aligned element of every row"

    def sites(self, program: Program) -> Iterator[Site]:
        """Find kernels whose loops go through rows under masks that only say where a row ends."""
        read = masks(program)
        for kernel in program.kernels.values():
            own = read[kernel.name]
            rows = _rows(program, kernel, own) if not kernel.name.endswith("_aligned") else None
            if rows is not None:
                change = partial(_aligned, rows=rows, own=own)
                what = f"rows of {rows.size} in {kernel.name}"
                site = specialised(program, kernel, "aligned", change, partial(_uneven, rows=rows), what)
                if site is not None:
                    yield site


def _rows(program: Program, kernel: Kernel, own: Masks) -> _Rows | None:
    """Return what the loops of a kernel's body go through, if all that can be read go through the same rows."""
    names = {*kernel.scope.bindings, *kernel.positional}
    found = [one for line in program.function(kernel).body.body if (one := _loop(kernel, line, own)) is not None]
    starts = {start for _, _, addresses in found for _, start in addresses.values()}
    over = {(code(size), code(step)) for _, (size, step), _ in found}
    if len({row for row, _ in starts}) != 1 or len(over) != 1 or names.intersection(NEW):
        return None
    ((size, block),) = over
    strides = dict.fromkeys(stride for _, _, addresses in found for _, (_, stride) in addresses.values())
    loops = [_Loop(line, told, {node: p for node, (p, _) in addresses.items()}) for (line, told), _, addresses in found]
    return _Rows(next(iter(starts))[0], tuple(strides), size, block, tuple(loops))


def _loop(kernel: Kernel, line: cst.CSTNode, own: Masks) -> Any:
    """Return a loop and its offsets' line, size and step, and its addresses with the rows that they are in."""
    limits = bounds(line) if isinstance(line, cst.For) else None
    if limits is None or not isinstance(line, cst.For) or whole_steps(line, own) is None:
        return None
    body, (size, step), turn = line.body, map(code, limits), code(line.target)
    reaching = [call for call in of_kind(body, cst.Call) if dotted(call.func, "load", "store")]
    wanted = (f"{turn} + tl.arange(0, {step})", f"tl.arange(0, {step}) + {turn}")
    lines = [one for one in of_kind(body, cst.Assign) if code(one.value) in wanted]
    once = [n.value for n in of_kind(body, cst.Name)].count(turn) == len(lines) == 1
    flat = not of_kind(body, cst.Subscript)  # blocks of one dimension
    if not once or not flat or len(reaching) != len(accesses(body)) or not _compares(body, size):
        return None
    offsets, changed = code(lines[0].targets[0].target), bound(line)
    told = {call.args[0].value: _address(kernel, call.args[0].value, offsets, {*changed}) for call in reaching}
    addresses = {node: one for node, one in told.items() if one is not None}
    return ((line, lines[0]), limits, addresses) if addresses and changed.count(offsets) == 1 else None


def _compares(body: cst.BaseSuite, size: str) -> bool:
    """Tell whether a size is only what something is less than."""
    ends = [end for end in of_kind(body, cst.ComparisonTarget) if isinstance(end.operator, cst.LessThan)]
    names = [name.value for name in of_kind(body, cst.Name)].count(size)
    return names == sum(code(end.comparator) == size for end in ends)


def _address(kernel: Kernel, node: cst.BaseExpression, offsets: str, changed: set[str]) -> Any:
    """Return the pointer of `pointer + row * stride + offsets`, also where a name stands for a part, and the rest."""
    parts = {code(part): part for one in addends(node) for part in addends(_value(kernel, one, changed))}
    lanes = parts.pop(offsets, None)
    pointer = next((text for text in parts if text in kernel.positional), "")
    rest = [part for text, part in parts.items() if text != pointer]
    product = rest[0] if len(rest) == 1 == len(parts) - 1 else None
    if lanes is None or not isinstance(product, cst.BinaryOperation) or not isinstance(product.operator, cst.Multiply):
        return None
    row, stride = code(product.left), code(product.right)
    steady = not changed.intersection(n.value for n in of_kind(product, cst.Name))
    return (pointer, (row, stride)) if steady and stride in kernel.positional else None


def _value(kernel: Kernel, node: cst.BaseExpression, changed: set[str]) -> cst.BaseExpression:
    """Return the sum that a name stands for which a loop leaves alone, or the expression itself."""
    steady = isinstance(node, cst.Name) and node.value not in changed
    values = kernel.scope.bindings.get(node.value, ()) if steady and isinstance(node, cst.Name) else ()
    value = values[0] if len(values) == 1 else None
    return value if isinstance(value, cst.BinaryOperation) and isinstance(value.operator, cst.Add) else node


def _uneven(launch: Launch, rows: _Rows) -> Choice | None:
    """Return the choice for rows of one stride that begin at odd places."""
    first, *others = (passed(launch, stride) for stride in rows.strides)
    if first is None or None in others:
        return None
    same = [f"{code(other)} == {code(first)}" for other in others if other is not None]
    return Choice(" and ".join([f"{code(first)} % {UNIT}", *same]))


def _aligned(function: cst.FunctionDef, rows: _Rows, own: Masks) -> cst.FunctionDef:
    """Return the copy of a kernel."""
    known = {one.loop: one for one in rows.loops}
    body: list[Any] = []
    for line in function.body.body:
        one = known.get(line)  # type: ignore[call-overload]
        if one is not None and one is rows.loops[0]:
            body += _beginning(rows)
        body += [line] if one is None else _three(one, rows, own)
    return copied(function, {"body": copied(function.body, {"body": body})})


def _beginning(rows: _Rows) -> list[Any]:
    """Return the lines that tell where a row's first aligned element is."""
    lines = (
        f"begin = {rows.row} * {rows.strides[0]}",
        f"first = tl.cdiv(begin, {UNIT}) * {UNIT}",
        f"head = tl.minimum(first - begin, {rows.size}).to(tl.int32)",
        f"steps = ({rows.size} - head) // {rows.block} * {rows.block}",
    )
    return [statement(line) for line in lines]


def _three(one: _Loop, rows: _Rows, own: Masks) -> list[Any]:
    """Return a loop up to the first aligned element, one over whole steps, and one over the rest."""
    before = replaced(one.loop.body, lambda n: n.value == rows.size, _headed, (cst.Name,))  # type: ignore[arg-type, attr-defined]
    known = whole_steps(one.loop, own)
    assert known is not None
    bare = without_known(one.loop.body, own, known)
    kinds = {type(node) for node in one.pointers}
    steps: Any = replaced(bare, one.pointers.__contains__, partial(_wide, one.pointers), kinds)
    lines: list[Any] = []
    for line in steps.body:
        lines += _lanes(line, one.line) if one.line in getattr(line, "body", ()) else [line]
    return [
        _ranging(one.loop, "0", "head", leading_lines=one.loop.leading_lines, body=before),
        _ranging(one.loop, "0", "steps", leading_lines=[], body=copied(steps, {"body": lines})),
        _ranging(one.loop, "head + steps", rows.size, leading_lines=[]),
    ]


def _ranging(loop: Any, start: str, end: str, **changes: Any) -> Any:
    first, last, *rest = loop.iter.args
    args = (copied(first, {"value": expression(start)}), copied(last, {"value": expression(end)}), *rest)
    return copied(loop, {"iter": copied(loop.iter, {"args": args}), **changes})


def _headed(name: cst.Name) -> cst.Name:
    return copied(name, {"value": "head"})


def _wide(pointers: Mapping[cst.CSTNode, str], node: cst.CSTNode) -> cst.BaseExpression:
    return expression(f"{pointers[node]} + first + lanes")


def _lanes(line: Any, offsets: cst.Assign) -> list[Any]:
    """Return the line of a loop's offsets for a loop that begins at the first aligned element."""
    name = code(offsets.targets[0].target)
    counted = copied(statement("lanes = x", x=offsets.value), {"leading_lines": line.leading_lines})
    return [counted, statement(f"{name} = head + lanes")]
