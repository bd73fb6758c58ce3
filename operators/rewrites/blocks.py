"""Block pointers in the place of pointer arithmetic with masks, and back."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import libcst as cst

from operators.launches import Kernel
from operators.program_tree import Edit, Path, copied
from operators.remembering import remembered
from operators.rewrites.bounds import DEEPEST
from operators.rewrites.printing import code
from operators.rewrites.program import Program, Site, dotted, keyword, open_to_keywords
from operators.rewrites.sums import addends, joined
from operators.rewrites.templates import expression
from operators.rewrites.widths import is_wide

NEW, PLACES = ("None", ":"), {"[:, None]": 0, "[None, :]": 1}
ZERO = ("0", "0.0", "0.")


@dataclass(frozen=True, slots=True)
class Axis:
    """One dimension of a block: where it begins, how long it is, what it steps by in memory, where the tensor ends."""

    start: str
    size: str
    stride: str
    end: str


@dataclass(frozen=True, slots=True)
class BlockPointers:
    """tl.make_block_ptr with checks at the ends."""

    name: str = "block-pointers"
    intent: str = "say which block of a tensor is meant, and leave addresses and masks to the compiler"

    def sites(self, program: Program) -> Iterator[Site]:
        """Find loads and stores of blocks whose offsets count on, under masks that only say where a tensor ends."""
        for call, kernel in program.calls("load", "store"):
            mask, other = keyword(call, "mask"), keyword(call, "other")
            by_place = [a for a in call.args if a.keyword is None and not a.star]
            wanted = 1 if dotted(call.func, "load") else 2
            if mask is None or len(by_place) != wanted or not open_to_keywords(call):
                continue
            told = _axes(kernel, by_place[0].value, mask.value)
            if told is not None:
                base, axes = told
                outside = None if other is None or code(other.value) in ZERO else other.value
                edit = partial(_blocked, base=base, axes=axes, mask=mask.value, outside=outside)
                yield Site(program.text(by_place[0].value), ((program.tree.path(call), edit),))


@dataclass(frozen=True, slots=True)
class Arithmetic:
    """Pointers and masks in the place of a block pointer that is used where it is made."""

    name: str = "pointer-arithmetic"
    intent: str = "compute addresses and masks in the open, where they can be changed one by one"

    def sites(self, program: Program) -> Iterator[Site]:
        """Find loads and stores through tl.make_block_ptr."""
        for call, _ in program.calls("load", "store"):
            made = call.args[0].value if call.args else None
            if isinstance(made, cst.Call) and dotted(made.func, "make_block_ptr"):
                edits = _plain(program, call, made)
                if edits is not None:
                    yield Site(program.text(made), edits)


def tile_of(kernel: Kernel, address: cst.BaseExpression) -> tuple[str, list[Axis]] | None:
    """Return the base of an address and its dimensions, whose ends nobody says; a loop may move it on."""
    values = kernel.scope.bindings.get(address.value, ()) if isinstance(address, cst.Name) else ()
    first = values[0] if values else None
    parts = _terms(kernel, first if isinstance(first, cst.BaseExpression) else address)
    lanes = [(part, _strided(kernel, part)) for part in parts]
    rest = [part for part, lane in lanes if lane is None]
    axes: dict[int, Axis] = {}
    for place, stride, name in (lane for _, lane in lanes if lane is not None):
        start = _start(kernel, name)
        if start is None or place in axes:
            return None
        axes[place] = Axis(*start, stride, "")
    return (code(joined(rest)), [axes[0], axes[1]]) if rest and sorted(axes) == [0, 1] else None


def _axes(kernel: Kernel, address: cst.BaseExpression, mask: cst.BaseExpression) -> tuple[str, list[Axis]] | None:
    """Return the base of an address and its dimensions, if the mask holds for exactly what lies before their ends."""
    parts = addends(_value(kernel, address))
    lanes = [(part, _strided(kernel, part)) for part in parts]
    blocks = [lane for _, lane in lanes if lane is not None]
    rest = [part for part, lane in lanes if lane is None]
    ends = _ends(kernel, mask)
    if not rest or not blocks or ends is None or len(ends) != len(blocks):
        return None
    axes: dict[int, Axis] = {}
    for place, stride, name in blocks:
        start = _start(kernel, name)
        end = ends.get((place, name))
        if start is None or end is None:
            return None
        axes[max(place, 0)] = Axis(*start, stride, end)
    flat = [place for place, _, _ in blocks] == [-1]
    if not flat and sorted(place for place, _, _ in blocks) != [0, 1]:
        return None
    return code(joined(rest)), [axes[n] for n in sorted(axes)]


def _terms(kernel: Kernel, node: cst.BaseExpression, within: tuple[cst.CSTNode, ...] = ()) -> list[cst.BaseExpression]:
    """List the parts of a sum, those too of sums that names stand for; a name within its own sum stays."""
    found: list[cst.BaseExpression] = []
    for part in addends(node):
        value = _value(kernel, part)
        sum_ = isinstance(value, cst.BinaryOperation) and isinstance(value.operator, cst.Add)
        again = value in within or len(within) == DEEPEST
        known = value is part or again or not sum_ or _strided(kernel, part) is not None
        found += [part] if known else _terms(kernel, value, (*within, value))
    return found


def _strided(kernel: Kernel, part: cst.BaseExpression) -> tuple[int, str, str] | None:
    """Return the dimension, the stride and the name of `offs[:, None] * stride`; -1 stands for the only dimension."""
    if isinstance(part, cst.BinaryOperation) and isinstance(part.operator, cst.Multiply):
        for one, other in ((part.left, part.right), (part.right, part.left)):
            found = _lane(kernel, one)
            if found is not None and _lane(kernel, other) is None:
                return (found[0], code(other), found[1])
    found = _lane(kernel, part)
    return None if found is None else (found[0], "1", found[1])


def _lane(kernel: Kernel, node: cst.BaseExpression) -> tuple[int, str] | None:
    """Return the dimension and the name of offsets, also where they are converted first."""
    place = -1
    if isinstance(node, cst.Subscript):
        place = PLACES.get(code(node)[len(code(node.value)) :], -2)
        node = node.value
    node = _converted(node)
    if isinstance(node, cst.Name):
        values = kernel.scope.bindings.get(node.value, ())
        if len(values) == 1 and isinstance(values[0], cst.BaseExpression):
            inner = _converted(values[0])
            node = inner if isinstance(inner, cst.Name) else node
        if place > -2 and _start(kernel, node.value) is not None:
            return place, node.value
    return None


def _converted(node: cst.BaseExpression) -> cst.BaseExpression:
    to = isinstance(node, cst.Call) and isinstance(node.func, cst.Attribute) and node.func.attr.value == "to"
    return node.func.value if to and isinstance(node, cst.Call) and isinstance(node.func, cst.Attribute) else node


@remembered
def _start(kernel: Kernel, name: str) -> tuple[str, str] | None:
    """Return where offsets begin and how many they are, if a name stands for `start + tl.arange(0, BLOCK)`.

    A start of 64 bits is none that a block pointer or a descriptor can have.
    """
    values = {code(v) if isinstance(v, cst.BaseExpression) else "" for v in kernel.scope.bindings.get(name, (None,))}
    value = next((v for v in kernel.scope.bindings.get(name, ()) if v is not None), None)
    if len(values) != 1 or not isinstance(value, cst.BaseExpression):
        return None
    parts = addends(value)
    last = parts[-1]
    if not isinstance(last, cst.Call) or not dotted(last.func, "arange") or len(last.args) != 2 or len(parts) > 2:
        return None
    if code(last.args[0].value) != "0" or is_wide(kernel, value):
        return None
    return code(parts[0]) if len(parts) == 2 else "0", code(last.args[1].value)


def _ends(kernel: Kernel, mask: cst.BaseExpression, within: tuple[cst.CSTNode, ...] = ()
          ) -> dict[tuple[int, str], str] | None:  # fmt: skip
    """Return where a mask says that each dimension's offsets end."""
    named, mask = mask, _value(kernel, mask)
    if mask in within or len(within) > DEEPEST:
        return None
    if isinstance(mask, cst.BinaryOperation) and isinstance(mask.operator, cst.BitAnd):
        inner = within if mask is named else (*within, mask)
        left, right = _ends(kernel, mask.left, inner), _ends(kernel, mask.right, inner)
        return None if left is None or right is None else {**left, **right}
    if not isinstance(mask, cst.Comparison) or len(mask.comparisons) != 1:
        return None
    only, lane = mask.comparisons[0], _lane(kernel, mask.left)
    if lane is None or not isinstance(only.operator, cst.LessThan):
        return None
    return {lane: code(only.comparator)}


def _value(kernel: Kernel, node: cst.BaseExpression) -> cst.BaseExpression:
    """Return what a name stands for, where it is bound to one value alone."""
    values = kernel.scope.bindings.get(node.value, ()) if isinstance(node, cst.Name) else ()
    value = values[0] if values else None
    same = len({code(v) if v is not None else "" for v in values}) == 1
    whole = isinstance(value, (cst.BinaryOperation, cst.Comparison)) and isinstance(value, cst.BaseExpression)
    return value if same and whole and isinstance(value, cst.BaseExpression) else node


def _blocked(call: cst.Call, base: str, axes: list[Axis], mask: cst.BaseExpression,
             outside: cst.BaseExpression | None) -> cst.BaseExpression:  # fmt: skip
    """Return a load or store through a block pointer."""
    shape, strides, starts, sizes = (
        f"({', '.join(getattr(a, part) for a in axes)},)" for part in ("end", "stride", "start", "size")
    )
    order = "(0,)" if len(axes) == 1 else "(1, 0)"
    checked = "(0,)" if len(axes) == 1 else "(0, 1)"
    pointer = expression(f"tl.make_block_ptr({base}, {shape}, {strides}, {starts}, {sizes}, {order})")
    kept = [a for a in call.args if a.keyword is None or a.keyword.value not in ("mask", "other")]
    kept[0] = copied(kept[0], {"value": pointer})
    new = [cst.Arg(expression(checked), cst.Name("boundary_check"), cst.AssignEqual(*[cst.SimpleWhitespace("")] * 2))]
    if dotted(call.func, "load"):
        new.append(new[0].with_changes(value=expression('"zero"'), keyword=cst.Name("padding_option")))
    bare = [copied(a, {"comma": cst.MaybeSentinel.DEFAULT}) for a in (*kept, *new)]
    made = copied(call, {"args": bare})
    # in float32, as Triton's interpreter has no infinity in bfloat16
    return made if outside is None else expression("tl.where(m, x.to(tl.float32), y)", m=mask, x=made, y=outside)


def _plain(program: Program, call: cst.Call, made: cst.Call) -> tuple[tuple[Path, Edit], ...] | None:
    """Return the edit that spells a block pointer's addresses and mask out."""
    given = [a.value for a in made.args if a.keyword is None]
    names = ("base", "shape", "strides", "offsets", "block_shape", "order")
    given += [a.value for name in names[len(given) :] if (a := keyword(made, name)) is not None]
    base, rest = given[:1], given[1:]
    written = all(isinstance(part, (cst.Tuple, cst.List)) for part in rest[:4])
    if len(rest) < 4 or not written or any(a.star for a in made.args):
        return None
    ends, strides, starts, sizes = ([code(e.value) for e in part.elements] for part in rest[:4])  # type: ignore[attr-defined]
    padding, checked = keyword(call, "padding_option"), _checked(call, len(sizes))
    even = len(ends) == len(strides) == len(starts) == len(sizes) and len(sizes) in (1, 2)
    if not even or checked is None or (padding is not None and code(padding.value) not in ('"zero"', '""', "''")):
        return None
    views = [""] if len(sizes) == 1 else list(PLACES)
    lanes = [f"{_offsets(start, size)}{view}" for start, size, view in zip(starts, sizes, views, strict=True)]
    steps = [
        lane if stride == "1" else f"{lane}.to(tl.int64) * ({stride})"
        for lane, stride in zip(lanes, strides, strict=True)
    ]
    address = " + ".join([code(base[0]), *steps])
    mask = " & ".join(f"({lanes[n]} < {ends[n]})" for n in checked)
    return ((program.tree.path(call), partial(_spelled, address=address, mask=mask, zero=padding is not None)),)


def _checked(call: cst.Call, dimensions: int) -> list[int] | None:
    """Return the dimensions whose ends a load or store heeds, None where they are no numbers of them."""
    check = keyword(call, "boundary_check")
    parts = () if check is None else getattr(check.value, "elements", (check.value,))
    said = [code(part.value if isinstance(part, cst.Element) else part) for part in parts]
    known = {str(n): n for n in range(dimensions)}
    return [known[one] for one in said] if all(one in known for one in said) else None


def _offsets(start: str, size: str) -> str:
    return f"tl.arange(0, {size})" if start == "0" else f"({start} + tl.arange(0, {size}))"


def _spelled(call: cst.Call, address: str, mask: str, zero: bool) -> cst.Call:
    first, *others = call.args
    kept = [a for a in others if a.keyword is None or a.keyword.value not in ("boundary_check", "padding_option")]
    equal = cst.AssignEqual(*[cst.SimpleWhitespace("")] * 2)
    new = [cst.Arg(expression(mask), cst.Name("mask"), equal)] if mask else []
    new += [cst.Arg(expression("0.0"), cst.Name("other"), equal)] if mask and zero else []
    args = [copied(first, {"value": expression(address)}), *kept, *new]
    return copied(call, {"args": [copied(a, {"comma": cst.MaybeSentinel.DEFAULT}) for a in args]})
