"""What several programs did along one axis, done side by side in one: rows of a tile in the place of one row."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import libcst as cst

from operators.launches import Kernel
from operators.program_tree import Edit, Path
from operators.rewrites.lanes import Lanes, lanes
from operators.rewrites.program import Program, Site, adding, adding_constexpr, fresh_name, keyword
from operators.rewrites.programs import becoming, own_numbers, relaunched, with_parameter
from operators.rewrites.splicing import Insertion
from operators.rewrites.templates import expression, statements

ROWS = 4  # at first; the tuner moves it


@dataclass(frozen=True, slots=True)
class Rows:
    """Blocks of one dimension as tiles of two, whose rows are what programs were."""

    name: str = "rows-per-program"
    intent: str = "let one program do the work of several, side by side"

    def sites(self, program: Program) -> Iterator[Site]:
        """Find kernels of one axis whose every operation works on each row alone."""
        for kernel in program.kernels.values():
            asked = own_numbers(program, kernel)
            if not asked or "ROWS_PER_PROGRAM" in kernel.constexprs:
                continue
            found = lanes(program, kernel, asked)
            site = found and self._site(program, kernel, asked, found)
            if site:
                yield site

    def _site(self, program: Program, kernel: Kernel, asked: tuple[cst.Call, ...], found: Lanes) -> Site | None:
        programs, each, live = (fresh_name(program, kernel, n) for n in ("programs", "each", "live"))
        grid = 'lambda meta: (triton.cdiv({programs}, meta["ROWS_PER_PROGRAM"]),)'
        told = relaunched(program, kernel, grid, programs)
        if told is None:
            return None
        edits, added = told
        block, first = program.place(asked[0])
        lines = (
            f"{each} = (tl.program_id(0) * ROWS_PER_PROGRAM + tl.arange(0, ROWS_PER_PROGRAM))[:, None]",
            f"{live} = {each} < {programs}",
        )
        added.append(Insertion(program.tree.path(block), first, each, partial(statements, *lines)))
        path, constexpr = adding_constexpr(program, kernel, "ROWS_PER_PROGRAM", ROWS)
        edits += [(path, lambda parameters: with_parameter(constexpr(parameters), programs))]
        edits += [(program.tree.path(call), partial(becoming, text=each)) for call in asked]
        edits += list(_widened(program, found, live))
        return Site(f"rows of {kernel.name}", tuple(edits), tuple(added))


def _widened(program: Program, found: Lanes, live: str) -> Iterator[tuple[Path, Edit]]:
    """Give the edits that turn blocks into rows of a tile."""
    for call in found.ranges:
        yield program.tree.path(call), _across
    for call in found.blocks:
        yield program.tree.path(call), _tall
    for call in found.reductions:
        yield program.tree.path(call), _along
    for call in found.hints:
        yield program.tree.path(call), _unhinted
    for call in found.accesses:
        yield program.tree.path(call), partial(_masked, live=live)


def _across(call: cst.Call) -> cst.BaseExpression:
    return expression("x[None, :]", x=call)


def _tall(call: cst.Call) -> cst.Call:
    shape: Any = call.args[0].value
    size = shape.elements[0].value
    new = call.args[0].with_changes(value=expression("(ROWS_PER_PROGRAM, x)", x=size))
    return call.with_changes(args=(new, *call.args[1:]))


def _along(call: cst.Call) -> cst.BaseExpression:
    assert isinstance(call.func, cst.Attribute)
    return expression(f"tl.{call.func.attr.value}(x, axis=1, keep_dims=True)", x=call.args[0].value)


def _unhinted(call: cst.Call) -> cst.BaseExpression:
    return expression("(x)", x=call.args[0].value)


def _masked(call: cst.Call, live: str) -> cst.Call:
    """Add to a load's or store's mask that its row exists."""
    mask = keyword(call, "mask")
    if mask is None:
        return adding("mask", live)(call)
    new = mask.with_changes(value=expression(f"x & {live}", x=mask.value))
    return call.with_changes(args=[new if a is mask else a for a in call.args])
