"""Tiles that are copied by tensor descriptors, in a second kernel, where rows begin at multiples of 16 bytes."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import libcst as cst

from operators.launches import Kernel, Launch
from operators.rewrites.bounds import masks
from operators.rewrites.printing import code
from operators.rewrites.program import Program, Site, dotted, fresh_name
from operators.rewrites.special import Choice, line_of, passed, replaced, specialised
from operators.rewrites.splicing import Insertion
from operators.rewrites.templates import expression, statement, statements
from operators.rewrites.tiles import Tile, tiles

SUFFIX = "tiled"
MEMORY = (
    "triton.set_allocator(lambda size, alignment, stream: torch.empty(size, dtype=torch.int8, device={tensor}.device))"
)


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
            every = list(tiles(program, kernel, readers[kernel.name]))
            loads = [t for t in every if dotted(t.call.func, "load")]
            for what, some in (("loads", loads), ("loads and stores", every)):
                if some and (what == "loads" or len(loads) < len(every)):
                    site = specialised(
                        program, kernel, SUFFIX, partial(_tiled, program=program, kernel=kernel, some=some),
                        partial(_aligned, some=some), f"{len(some)} tiles of {kernel.name}, {what}",
                    )  # fmt: skip
                    if site is not None and {"torch", "triton"} <= program.tree.top.bindings.keys():
                        memory = _allocated(program, kernel, some[0].pointer)
                        yield Site(site.what, site.edits, (*site.insertions, *memory), group)


def _tiled(function: cst.FunctionDef, program: Program, kernel: Kernel, some: Sequence[Tile]) -> cst.FunctionDef:
    """Return a kernel that makes descriptors before the statements that need them, and copies tiles by them."""
    names: dict[tuple[object, ...], str] = {}
    made: dict[int, list[cst.BaseStatement]] = {}
    for tile in some:
        if tile.descriptor not in names:
            wanted = f"{tile.pointer.removesuffix('_ptr')}_tiles"
            names[tile.descriptor] = fresh_name(program, kernel, wanted, list(names.values()))
            text = (
                f"{names[tile.descriptor]} = tl.make_tensor_descriptor({tile.base}, "
                f"shape=[{tile.rows.end}, {tile.columns.end}], strides=[{tile.rows.stride}, 1], "
                f"block_shape=[{tile.rows.size}, {tile.columns.size}])"
            )
            made.setdefault(tile.home, []).append(statement(text))
    lines = [one for n, line in enumerate(function.body.body) for one in (*made.get(n, ()), line)]
    with_descriptors = function.with_changes(body=function.body.with_changes(body=lines))
    by_call: Mapping[int, Tile] = {id(t.call): t for t in some}
    edit = partial(_copied, some=by_call, names=names)
    return replaced(with_descriptors, lambda n: id(n) in by_call, edit, (cst.Call,))


def _copied(call: cst.Call, some: Mapping[int, Tile], names: Mapping[tuple[object, ...], str]) -> cst.BaseExpression:
    """Return the load or store of a tile by its descriptor."""
    tile = some[id(call)]
    places, turned = f"[{tile.rows.start}, {tile.columns.start}]", ".T" if tile.turned else ""
    if dotted(call.func, "load"):
        return expression(f"{names[tile.descriptor]}.load({places}){turned}")
    value, wanted = call.args[1].value, f".to({tile.pointer}.dtype.element_ty)"
    converted = "" if code(value).endswith(wanted) else wanted
    return expression(f"{names[tile.descriptor]}.store({places}, x{converted}{turned})", x=value)


def _allocated(program: Program, kernel: Kernel, pointer: str) -> Iterator[Insertion]:
    """Give launchers the line that says where descriptors of a kernel's own making lie: Triton asks its caller."""
    for launch in program.launches:
        line, tensor = line_of(program, launch.call), passed(launch, pointer)
        if launch.kernel.scope is kernel.scope and line is not None and tensor is not None:
            block, index = program.place(line)
            text = MEMORY.format(tensor=code(tensor))
            yield Insertion(program.tree.path(block), index, text, partial(statements, text))


def _aligned(launch: Launch, some: Sequence[Tile]) -> Choice | None:
    """Return the test that the rows of all tiles are whole in memory and begin at multiples of 16 bytes."""
    tests: dict[str, None] = {}
    for tile in some:
        tensor = passed(launch, tile.pointer)
        if not isinstance(tensor, cst.Name):
            return None
        inner, stride = (_given(launch, s) for s in (tile.columns.stride, tile.rows.stride))
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
