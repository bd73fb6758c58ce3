"""Tiles that are copied by tensor descriptors, in a second kernel, where rows begin at multiples of 16 bytes."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import libcst as cst

from operators.launches import Kernel, Launch
from operators.rewrites.blocks import Axis, tile_of
from operators.rewrites.bounds import Bound, Masks, masks
from operators.rewrites.printing import code
from operators.rewrites.program import (
    Insertion,
    Program,
    Site,
    bound,
    dotted,
    expression,
    fresh_name,
    keyword,
    statement,
    statements,
)
from operators.rewrites.reductions import bounds
from operators.rewrites.special import Choice, line_of, passed, replaced, specialised

SUFFIX = "tiled"
ZERO = ("0", "0.0", "0.")
MEMORY = (
    "triton.set_allocator(lambda size, alignment, stream: torch.empty(size, dtype=torch.int8, device={tensor}.device))"
)
_NAME = re.compile(r"[A-Za-z_]\w*")


@dataclass(frozen=True, slots=True)
class Tile:
    """One load or store of a whole tile of a matrix: what its descriptor is made of, and where the tile begins."""

    call: cst.Call
    base: str
    pointer: str  # the parameter that the base begins with
    shape: tuple[str, str]
    stride: str  # between rows
    inner: str  # between elements of a row: 1, by this or at the launch
    sizes: tuple[str, str]
    starts: tuple[str, str]
    home: int  # the statement of the kernel that it is in

    @property
    def descriptor(self) -> tuple[object, ...]:
        """What two tiles of one descriptor have in common."""
        return self.base, self.shape, self.stride, self.sizes


@dataclass(frozen=True, slots=True)
class Descriptors:
    """tl.make_tensor_descriptor: the copy engine of newer chips fetches whole tiles, and cuts them at the ends."""

    name: str = "tensor-descriptors"
    intent: str = "copy whole tiles by descriptors where rows begin at multiples of 16 bytes"

    def sites(self, program: Program) -> Iterator[Site]:
        """Find kernels with tiles of matrices whose masks only say where the matrix ends; loads alone are a choice."""
        readers = masks(program)
        for group, kernel in enumerate(program.kernels.values(), 1):
            if kernel.name.endswith(f"_{SUFFIX}"):
                continue
            every = [t for t in _tiles(program, kernel, readers[kernel.name]) if t is not None]
            loads = [t for t in every if dotted(t.call.func, "load")]
            for what, tiles in (("loads", loads), ("loads and stores", every)):
                if tiles and (what == "loads" or len(loads) < len(every)):
                    site = specialised(
                        program, kernel, SUFFIX, partial(_tiled, program=program, kernel=kernel, tiles=tiles),
                        partial(_aligned, tiles=tiles), f"{len(tiles)} tiles of {kernel.name}, {what}",
                    )  # fmt: skip
                    if site is not None and {"torch", "triton"} <= program.tree.top.bindings.keys():
                        memory = _allocated(program, kernel, tiles[0].pointer)
                        yield Site(site.what, site.edits, (*site.insertions, *memory), group)


def _tiles(program: Program, kernel: Kernel, reader: Masks) -> Iterator[Tile | None]:
    """Give what every load and store of a kernel is as a tile, if it is one."""
    for call, home in program.calls("load", "store"):
        if home.scope is kernel.scope:
            yield _tile(program, kernel, reader, call)


def _tile(program: Program, kernel: Kernel, reader: Masks, call: cst.Call) -> Tile | None:
    by_place = [a.value for a in call.args if a.keyword is None and not a.star]
    mask, other = keyword(call, "mask"), keyword(call, "other")
    if mask is None or len(by_place) != (1 if dotted(call.func, "load") else 2):
        return None
    told = tile_of(kernel, by_place[0])
    parts = reader.bounds(mask.value)
    if told is None or len(parts) != len(list(reader.read(mask.value))) or (other and code(other.value) not in ZERO):
        return None
    base, axes = told
    moved = _moved(program, kernel, by_place[0], call)
    if len(axes) != 2 or moved is None:
        return None
    ended = [_ended(axis, parts, moved) for axis in axes]
    if None in ended or sum(len(e[2]) for e in ended if e is not None) != len(parts):
        return None
    (start, end, _), (inner_start, inner_end, _) = (e for e in ended if e is not None)
    rows, columns = axes
    parameters = {*kernel.positional, *kernel.constexprs}
    if not (rows.stride.isdecimal() or rows.stride in parameters) or columns.stride not in {"1", *parameters}:
        return None
    pointer = base.split(" + ")[0]
    home = _home(program, kernel, call)
    fixed = f"{base} {end} {inner_end} {rows.stride}"
    if pointer not in kernel.positional or home is None or _changes(program, kernel, home, fixed):
        return None
    return Tile(call, base, pointer, (end, inner_end), rows.stride, columns.stride, (rows.size, columns.size),
                (start, inner_start), home)  # fmt: skip


def _moved(program: Program, kernel: Kernel, address: cst.BaseExpression, call: cst.Call) -> tuple[str, str] | None:
    """Return the variable of the loop that moves a pointer on, and by what in a turn; nothing twice where none does."""
    values = kernel.scope.bindings.get(address.value, ()) if isinstance(address, cst.Name) else ()
    if len(values) < 2:
        return "", ""
    block, at = program.place(call)
    for loop in program.within(call):
        told = bounds(loop) if isinstance(loop, cst.For) else None
        for number, line in enumerate(loop.body.body):
            one = line.body[0] if isinstance(line, cst.SimpleStatementLine) and len(line.body) == 1 else None
            if isinstance(loop, cst.For) and isinstance(one, cst.AugAssign) and code(one.target) == code(address):
                plain = isinstance(one.operator, cst.AddAssign) and len(values) == 2
                if told is None or not plain or block is not loop.body or number < at:
                    return None
                return code(loop.target), _times(one.value, code(told[1]))
    return None


def _times(amount: cst.BaseExpression, step: str) -> str:
    """Return the stride by which a pointer moves `step` elements on."""
    if code(amount) == step:
        return "1"
    if isinstance(amount, cst.BinaryOperation) and isinstance(amount.operator, cst.Multiply):
        for one, other in ((amount.left, amount.right), (amount.right, amount.left)):
            if code(one) == step:
                return code(other)
    return "?"


def _ended(axis: Axis, parts: Sequence[Bound], moved: tuple[str, str]) -> tuple[str, str, list[Bound]] | None:
    """Return where a dimension of a tile begins, where the matrix ends there, and the parts of the mask that say so."""
    turn, stride = moved
    mine = [p for p in parts if (p.start, p.size) == (axis.start, axis.size)]
    moves = bool(turn) and stride == axis.stride
    if len(mine) > 1 or (not mine and (moves or axis.start != "0")):
        return None
    if not mine:
        return "0", axis.size, []
    begins = axis.start if not moves else turn if axis.start == "0" else f"{axis.start} + {turn}"
    if mine[0].taken != (turn if moves else "0"):
        return None
    return begins, mine[0].whole, mine


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
    inner = () if isinstance(line, cst.SimpleStatementLine) else bound(line)
    return not set(inner).isdisjoint(_NAME.findall(text))


def _tiled(function: cst.FunctionDef, program: Program, kernel: Kernel, tiles: Sequence[Tile]) -> cst.FunctionDef:
    """Return a kernel that makes descriptors before the statements that need them, and copies tiles by them."""
    names: dict[tuple[object, ...], str] = {}
    made: dict[int, list[cst.BaseStatement]] = {}
    for tile in tiles:
        if tile.descriptor not in names:
            wanted = f"{tile.pointer.removesuffix('_ptr')}_tiles"
            names[tile.descriptor] = fresh_name(program, kernel, wanted, list(names.values()))
            text = (
                f"{names[tile.descriptor]} = tl.make_tensor_descriptor({tile.base}, shape=[{', '.join(tile.shape)}], "
                f"strides=[{tile.stride}, 1], block_shape=[{', '.join(tile.sizes)}])"
            )
            made.setdefault(tile.home, []).append(statement(text))
    lines = [one for n, line in enumerate(function.body.body) for one in (*made.get(n, ()), line)]
    with_descriptors = function.with_changes(body=function.body.with_changes(body=lines))
    by_call: Mapping[int, Tile] = {id(t.call): t for t in tiles}
    return replaced(with_descriptors, lambda n: id(n) in by_call, partial(_copied, tiles=by_call, names=names))


def _copied(call: cst.Call, tiles: Mapping[int, Tile], names: Mapping[tuple[object, ...], str]) -> cst.BaseExpression:
    """Return the load or store of a tile by its descriptor."""
    tile = tiles[id(call)]
    places = f"[{', '.join(tile.starts)}]"
    if dotted(call.func, "load"):
        return expression(f"{names[tile.descriptor]}.load({places})")
    value, wanted = call.args[1].value, f".to({tile.pointer}.dtype.element_ty)"
    converted = "" if code(value).endswith(wanted) else wanted
    return expression(f"{names[tile.descriptor]}.store({places}, x{converted})", x=value)


def _allocated(program: Program, kernel: Kernel, pointer: str) -> Iterator[Insertion]:
    """Give launchers the line that says where descriptors of a kernel's own making lie: Triton asks its caller."""
    for launch in program.launches:
        line, tensor = line_of(program, launch.call), passed(launch, pointer)
        if launch.kernel.scope is kernel.scope and line is not None and tensor is not None:
            block, index = program.place(line)
            text = MEMORY.format(tensor=code(tensor))
            yield Insertion(program.tree.path(block), index, text, partial(statements, text))


def _aligned(launch: Launch, tiles: Sequence[Tile]) -> Choice | None:
    """Return the test that the rows of all tiles are whole in memory and begin at multiples of 16 bytes."""
    tests: dict[str, None] = {}
    for tile in tiles:
        tensor = passed(launch, tile.pointer)
        if not isinstance(tensor, cst.Name):
            return None
        inner, stride = (_given(launch, s) for s in (tile.inner, tile.stride))
        if inner is None or stride is None:
            return None
        if inner != "1":
            tests[f"{inner} == 1"] = None
        tests[f"{stride} * {tensor.value}.element_size() % 16 == 0"] = None
    return Choice(" and ".join(tests))


def _given(launch: Launch, stride: str) -> str | None:
    """Return a stride in the launcher's words; None where it is more than a parameter of the kernel."""
    if stride.isdecimal():
        return stride
    value = passed(launch, stride) if stride.isidentifier() else None
    if value is None:
        return None
    return code(value) if isinstance(value, (cst.Name, cst.Call, cst.Integer, cst.Attribute)) else f"({code(value)})"
