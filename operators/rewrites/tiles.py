"""Loads and stores of whole tiles of matrices, read out of pointer arithmetic under masks or out of block pointers."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import libcst as cst

from operators.launches import Kernel
from operators.rewrites.blocks import Axis, tile_of
from operators.rewrites.bounds import Bound, Masks
from operators.rewrites.printing import code
from operators.rewrites.program import Program, bound, dotted, keyword
from operators.rewrites.reductions import bounds

ZERO = ("0", "0.0", "0.")
PADDED = ("", '"zero"', "'zero'", '""', "''")
_NAME = re.compile(r"[A-Za-z_]\w*")

Places = tuple[str, list[Axis]]  # a base, and the dimensions of a tile with their ends


@dataclass(frozen=True, slots=True)
class Tile:
    """One load or store of a whole tile of a matrix, by rows of which each is whole in memory."""

    call: cst.Call
    base: str
    pointer: str  # the parameter that the base begins with
    rows: Axis
    columns: Axis  # of stride 1, by this or at the launch
    turned: bool  # the program sees columns first
    home: int  # the statement of the kernel that it is in

    @property
    def descriptor(self) -> tuple[object, ...]:
        """What two tiles of one descriptor have in common."""
        return self.base, self.rows.stride, *((a.end, a.size) for a in (self.rows, self.columns))


def tiles(program: Program, kernel: Kernel, reader: Masks) -> Iterator[Tile]:
    """Give what every load and store of a kernel is as a tile, if it is one."""
    for call, home in program.calls("load", "store"):
        by_place = [a.value for a in call.args if a.keyword is None and not a.star]
        if home.scope is not kernel.scope or len(by_place) != (1 if dotted(call.func, "load") else 2):
            continue
        if keyword(call, "mask") is not None:
            found = _by_arithmetic(program, kernel, reader, call)
        else:
            found = _by_block_pointer(program, kernel, call)
        tile = None if found is None else _tile(program, kernel, call, *found)
        if tile is not None:
            yield tile


def _tile(program: Program, kernel: Kernel, call: cst.Call, base: str, axes: Sequence[Axis]) -> Tile | None:
    """Return a tile whose descriptor can be made before the statement of the kernel that it is in."""
    turned = axes[0].stride == "1" and axes[1].stride != "1"
    rows, columns = reversed(axes) if turned else axes
    parameters, pointer = {*kernel.positional, *kernel.constexprs}, base.split(" + ")[0]
    if not (rows.stride.isdecimal() or rows.stride in parameters) or columns.stride not in {"1", *parameters}:
        return None
    home = _home(program, kernel, call)
    fixed = f"{base} {rows.end} {columns.end} {rows.stride}"
    if pointer not in kernel.positional or home is None or _changes(program, kernel, home, fixed):
        return None
    return Tile(call, base, pointer, rows, columns, turned, home)


def _by_arithmetic(program: Program, kernel: Kernel, reader: Masks, call: cst.Call) -> Places | None:
    """Read a sum of offsets under a mask that only says where the matrix ends."""
    mask, other, address = keyword(call, "mask"), keyword(call, "other"), call.args[0].value
    told, parts = tile_of(kernel, address), () if mask is None else reader.bounds(mask.value)
    if told is None or mask is None or (other is not None and code(other.value) not in ZERO):
        return None
    moved = _moved(program, kernel, address, call)
    if moved is None or len(parts) != len(list(reader.read(mask.value))):
        return None
    base, axes = told
    ended = [_ended(axis, parts, moved) for axis in axes]
    said = {part for axis in axes for part in parts if (part.start, part.size) == (axis.start, axis.size)}
    whole = [axis for axis in ended if axis is not None]
    return (base, whole) if len(whole) == len(axes) and len(said) == len(parts) else None


def _moved(program: Program, kernel: Kernel, address: cst.BaseExpression, call: cst.Call) -> tuple[str, str] | None:
    """Return the variable of the loop that moves a pointer on, and by what in a turn; nothing twice where none does."""
    values = kernel.scope.bindings.get(address.value, ()) if type(address) is cst.Name else ()
    if len(values) < 2:
        return "", ""
    block, at = program.place(call)
    for loop in program.within(call):
        told = bounds(loop) if type(loop) is cst.For else None
        for number, line in enumerate(loop.body.body):
            one = line.body[0] if type(line) is cst.SimpleStatementLine and len(line.body) == 1 else None
            if type(loop) is cst.For and type(one) is cst.AugAssign and code(one.target) == code(address):
                plain = type(one.operator) is cst.AddAssign and len(values) == 2
                if told is None or not plain or block is not loop.body or number < at:
                    return None
                return code(loop.target), _times(one.value, code(told[1]))
    return None


def _times(amount: cst.BaseExpression, step: str) -> str:
    """Return the stride by which a pointer moves `step` elements on."""
    if code(amount) == step:
        return "1"
    if type(amount) is cst.BinaryOperation and type(amount.operator) is cst.Multiply:
        for one, other in ((amount.left, amount.right), (amount.right, amount.left)):
            if code(one) == step:
                return code(other)
    return "?"


def _ended(axis: Axis, parts: Sequence[Bound], moved: tuple[str, str]) -> Axis | None:
    """Return a dimension with where the matrix ends there, as the mask says; without a word of it the tile is all."""
    turn, stride = moved
    mine = [p for p in parts if (p.start, p.size) == (axis.start, axis.size)]
    moves = bool(turn) and stride == axis.stride
    if not mine:
        return None if moves or axis.start != "0" else replace(axis, end=axis.size)
    if len(mine) > 1 or mine[0].taken != (turn if moves else "0"):
        return None
    return replace(axis, start=_later(axis.start, turn) if moves else axis.start, end=mine[0].whole)


def _later(start: str, turn: str) -> str:
    return turn if start == "0" else f"{start} + {turn}"


def _by_block_pointer(program: Program, kernel: Kernel, call: cst.Call) -> Places | None:
    """Read a block pointer, also one that a loop moves on from turn to turn."""
    pointer, padding = call.args[0].value, keyword(call, "padding_option")
    values = kernel.scope.bindings.get(pointer.value, ()) if type(pointer) is cst.Name else (pointer,)
    made, *moved = values or (None,)
    if type(made) is not cst.Call or not dotted(made.func, "make_block_ptr") or len(moved) > 1:
        return None
    given = [a.value for a in made.args if a.keyword is None and not a.star]
    parts = [[code(e.value) for e in one.elements] for one in given[1:5] if isinstance(one, (cst.Tuple, cst.List))]
    if (
        len(parts) != 4
        or any(len(part) != 2 for part in parts)
        or (padding is not None and code(padding.value) not in PADDED)
    ):
        return None
    turn, by = _advanced(program, call, pointer, moved[0]) if moved else ("", ("0", "0"))
    if turn is None:
        return None
    ends, strides, starts, sizes = parts
    begins = [s if step == "0" else _later(s, turn) for s, step in zip(starts, by, strict=True)]
    return code(given[0]), [Axis(*one) for one in zip(begins, sizes, strides, ends, strict=True)]


def _advanced(program: Program, call: cst.Call, pointer: cst.BaseExpression, value: cst.CSTNode | None
              ) -> tuple[str | None, tuple[str, ...]]:  # fmt: skip
    """Return the variable of the loop that moves a block pointer on after a load, and where; None if it is not so."""
    block, at = program.place(call)
    loop = next((one for one in program.within(call) if one.body is block), None)
    told = bounds(loop) if type(loop) is cst.For else None
    if told is None or type(loop) is not cst.For or type(value) is not cst.Call or len(value.args) != 2:
        return None, ()
    offsets = value.args[1].value
    by = tuple(code(e.value) for e in offsets.elements) if isinstance(offsets, (cst.Tuple, cst.List)) else ()
    lines = [number for number, line in enumerate(loop.body.body) if code(pointer) in bound(line)]
    plain = dotted(value.func, "advance") and code(value.args[0].value) == code(pointer)
    once = sorted(by) == sorted(("0", code(told[1]))) and len(lines) == 1 and lines[0] > at
    return (code(loop.target), by) if plain and once else (None, ())


def _home(program: Program, kernel: Kernel, call: cst.Call) -> int | None:
    """Return which of a kernel's statements a call is in."""
    body = program.function(kernel).body
    inner: cst.CSTNode = call
    for outer in program.tree.around(call):
        if outer is body:
            return list(body.body).index(inner)
        inner = outer
    return None


def _changes(program: Program, kernel: Kernel, home: int, text: str) -> bool:
    """Tell whether a statement of a kernel with statements of its own gives any name of a text its value."""
    line = program.function(kernel).body.body[home]
    inner = () if type(line) is cst.SimpleStatementLine else bound(line)
    return not set(inner).isdisjoint(_NAME.findall(text))
