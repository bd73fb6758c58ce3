"""Numbers that a group of elements shares, as the scales of quantised weights, loaded once a group and spread out."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import libcst as cst

from operators.launches import Kernel
from operators.program_tree import copied
from operators.rewrites.printing import code
from operators.rewrites.program import Program, Site, fresh_name, keyword
from operators.rewrites.programs import becoming
from operators.rewrites.splicing import Insertion
from operators.rewrites.sums import addends, counted_from, depend, joined
from operators.rewrites.templates import expression, statements

SPREAD = {
    "": "tl.reshape(tl.broadcast_to({0}[:, None], ({0}.shape[0], {1} // {0}.shape[0])), ({1},))",
    "[None, :]": (
        "tl.reshape(tl.broadcast_to({0}[:, :, None], ({0}.shape[0], {0}.shape[1], {1} // {0}.shape[1])), "
        "({0}.shape[0], {1}))"
    ),
}


@dataclass(frozen=True, slots=True)
class _Groups:
    """The groups that offsets `name` are in: `(times * name // group)[view]`."""

    name: str
    times: int
    group: str
    view: str


@dataclass(frozen=True, slots=True)
class _Lanes:
    """How groups are counted where a block begins with a group: their numbers, and the first offset of each."""

    groups: str
    firsts: str


@dataclass(frozen=True, slots=True)
class PerGroup:
    """A load of as many elements as a block has groups, and each given to all of its group, in registers.

    A load that says the same address for many lanes is done for each of them.
    """

    name: str = "load-per-group"
    intent: str = "load once what a group of elements shares"

    def sites(self, program: Program) -> Iterator[Site]:
        """Find loads at `offs // GROUP`, whose mask says no more of the offsets than where they end."""
        names: list[str] = []
        for call, kernel in program.calls("load"):
            line = _line(program, call)
            each = fresh_name(program, kernel, f"each_{_named(line)}", names)
            site = None if line is None else _site(program, kernel, call, each)
            if site is not None:
                names.append(each)
                yield site


def _site(program: Program, kernel: Kernel, call: cst.Call, each: str) -> Site | None:
    parts = addends(call.args[0].value) if call.args and call.args[0].keyword is None else []
    part = next((one for one in parts if _groups(kernel, one) is not None), None)
    found = None if part is None else _groups(kernel, part)
    told = None if found is None else counted_from(kernel, found.name)
    others = [one for one in parts if one is not part]
    if found is None or told is None or depend(kernel, others, found.name):
        return None
    lanes = _counted(found, *told)
    address = joined([expression(f"{lanes.groups}{found.view}") if one is part else one for one in parts])
    made = _loading(kernel, call, address, found, lanes)
    if made is None:
        return None
    block, index = program.place(call)
    added = Insertion(program.tree.path(block), index, each, partial(statements, f"{each} = {code(made)}"))
    text = SPREAD[found.view].format(each, code(told[1]))
    return Site(program.text(call), ((program.tree.path(call), partial(becoming, text=text)),), (added,))


def _line(program: Program, call: cst.Call) -> cst.BaseSmallStatement | None:
    """Return the one statement of a call's line, if a line before it is run as often as the call."""
    for outer in program.tree.around(call):
        if type(outer) is cst.SimpleStatementLine:
            return outer.body[0] if len(outer.body) == 1 else None
        if isinstance(outer, (cst.IfExp, cst.BooleanOperation, cst.BaseComp)):
            return None
    return None


def _named(line: cst.BaseSmallStatement | None) -> str:
    """Return the name that a line gives a value to, or another word."""
    target = line.targets[0].target if type(line) is cst.Assign else None
    return target.value if type(target) is cst.Name else "group"


def _groups(kernel: Kernel, part: cst.BaseExpression) -> _Groups | None:
    """Read `(2 * offs // GROUP)[None, :]`, or the same with the view within."""
    view, node = "", part
    if type(node) is cst.Subscript:
        view, node = code(node)[len(code(node.value)) :], node.value
    if type(node) is not cst.BinaryOperation or type(node.operator) is not cst.FloorDivide:
        return None
    times, inner = 1, node.left
    if type(inner) is cst.BinaryOperation and type(inner.operator) is cst.Multiply:
        times = inner.left.evaluated_value if type(inner.left) is cst.Integer else 0
        inner = inner.right
    if type(inner) is cst.Subscript and not view:
        view, inner = code(inner)[len(code(inner.value)) :], inner.value
    plain = type(inner) is cst.Name and code(node.right) in kernel.constexprs and times > 0 and view in SPREAD
    return _Groups(inner.value, times, code(node.right), view) if plain and type(inner) is cst.Name else None


def _counted(found: _Groups, starts: list[cst.BaseExpression], size: cst.BaseExpression) -> _Lanes:
    """Return the groups of a block, which begins with one, or is within one."""
    times, block = ("", code(size)) if found.times == 1 else (f"{found.times} * ", code(size))
    count = f"tl.arange(0, {times}{block} // {found.group} if {times}{block} > {found.group} else 1)"
    width = found.group if found.times == 1 else f"{found.group} // {found.times}"
    first = "" if not starts else code(expression("(x)", x=joined(starts)))
    begun = f"{times}{first} // {found.group} + " if first else ""
    return _Lanes(f"({begun}{count})", f"({first + ' + ' if first else ''}{width} * {count})")


def _loading(kernel: Kernel, call: cst.Call, address: cst.BaseExpression, found: _Groups, lanes: _Lanes) -> Any:
    """Return the load of one element a group, None where its mask or what lies outside depends on more."""
    mask, args = keyword(call, "mask"), [copied(call.args[0], {"value": address})]
    for argument in call.args[1:]:
        if argument is mask:
            value = _masked(kernel, argument.value, found, lanes)
            if value is None:
                return None
            args.append(copied(argument, {"value": value}))
        elif depend(kernel, [argument.value], found.name):
            return None
        else:
            args.append(argument)
    return copied(call, {"args": args})


def _masked(kernel: Kernel, mask: cst.BaseExpression, found: _Groups, lanes: _Lanes) -> cst.BaseExpression | None:
    """Return a mask for groups: `offs < end` holds for some of a group where it holds for the first."""
    if not depend(kernel, [mask], found.name):
        return mask
    if type(mask) is cst.Name:
        values = kernel.scope.bindings.get(mask.value, ())
        texts = {code(v) if isinstance(v, cst.BaseExpression) else "" for v in values}
        value = next(iter(values), None) if len(texts) == 1 else None
        return _masked(kernel, value, found, lanes) if isinstance(value, cst.BaseExpression) else None
    if type(mask) is cst.BinaryOperation and type(mask.operator) is cst.BitAnd:
        sides = [_masked(kernel, side, found, lanes) for side in (mask.left, mask.right)]
        return None if None in sides else expression("x & y", x=sides[0], y=sides[1])  # type: ignore[arg-type]
    ends = mask.comparisons if type(mask) is cst.Comparison else ()
    if len(ends) != 1 or type(ends[0].operator) is not cst.LessThan or type(mask) is not cst.Comparison:
        return None
    if code(mask.left) != f"{found.name}{found.view}" or depend(kernel, [ends[0].comparator], found.name):
        return None
    return expression(f"({lanes.firsts}{found.view} < x)", x=ends[0].comparator)
