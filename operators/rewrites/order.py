"""The order in which programs take the tiles of a matrix: what neighbours share lies in the caches."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import libcst as cst

from operators.launches import Kernel
from operators.program_tree import Path, descend
from operators.rewrites.program import (
    Insertion,
    Program,
    Site,
    adding_constexpr,
    dotted,
    expression,
    fresh_name,
    statements,
)

GROUP = 8  # rows of tiles that are taken together at first; the tuner moves it


@dataclass(frozen=True, slots=True)
class Grid:
    """A grid of one dimension that stands for two: `pid // across` is the row of tiles, `pid % across` the column."""

    kernel: Kernel
    row: cst.BinaryOperation
    column: cst.BinaryOperation
    pid: cst.Name
    across: cst.Name
    tiles: str  # how many rows of tiles there are, as an expression
    first: cst.CSTNode  # of the two


@dataclass(frozen=True, slots=True)
class Grouped:
    """Groups of rows of tiles, taken column by column, in the place of row after row."""

    name: str = "grouped-order"
    intent: str = "take tiles in groups of rows, so that both operands stay in the cache"

    def sites(self, program: Program) -> Iterator[Site]:
        """Find the two halves of a tile's number."""
        for grid in grids(program):
            names = {n: fresh_name(program, grid.kernel, n) for n in ("GROUP_M", "per_group", "first_row", "height")}
            names |= {"pid": grid.pid.value, "across": grid.across.value, "tiles": grid.tiles}
            row, column = (fresh_name(program, grid.kernel, n) for n in ("tile_row", "tile_column"))
            lines = (
                "{per_group} = {GROUP_M} * {across}",
                "{first_row} = {pid} // {per_group} * {GROUP_M}",
                "{height} = tl.minimum({tiles} - {first_row}, {GROUP_M})",
                f"{row} = {{first_row}} + {{pid}} % {{per_group}} % {{height}}",
                f"{column} = {{pid}} % {{per_group}} // {{height}}",
            )
            yield Site(
                f"{program.text(grid.row)} and {program.text(grid.column)}",
                (
                    (program.tree.path(grid.row), _Becoming(row)),
                    (program.tree.path(grid.column), _Becoming(column)),
                    adding_constexpr(program, grid.kernel, names["GROUP_M"], GROUP),
                ),
                _before(program, grid, [line.format(**names) for line in lines]),
            )


@dataclass(frozen=True, slots=True)
class Swapped:
    """Columns of tiles first in the place of rows, or the other way round."""

    name: str = "swap-grid-axes"
    intent: str = "walk through the tiles along the other direction"

    def sites(self, program: Program) -> Iterator[Site]:
        """Find the two halves of a tile's number."""
        for grid in grids(program):
            down = fresh_name(program, grid.kernel, "tiles_down")
            pid = grid.pid.value
            yield Site(
                f"{program.text(grid.row)} and {program.text(grid.column)}",
                (
                    (program.tree.path(grid.row), _Becoming(f"({pid} % {down})")),
                    (program.tree.path(grid.column), _Becoming(f"({pid} // {down})")),
                ),
                _before(program, grid, [f"{down} = {grid.tiles}"]),
            )


def grids(program: Program) -> Iterator[Grid]:
    """Find grids of one dimension that stand for two, where the number of rows of tiles can be told."""
    columns = list(program.operations(cst.Modulo))
    for row, kernel in program.operations(cst.FloorDivide):
        if not isinstance(row.left, cst.Name) or not isinstance(row.right, cst.Name):
            continue
        pid, across = row.left, row.right
        same = [c for c, k in columns if k is kernel and _is(c.left, pid) and _is(c.right, across)]
        tiles = _rows_of_tiles(program, kernel, row)
        if len(same) == 1 and tiles and _is_program(kernel, pid) and program.place(row)[0] is program.place(same[0])[0]:
            first = min((row, same[0]), key=lambda node: program.place(node)[1])
            yield Grid(kernel, row, same[0], pid, across, tiles, first)


def _is(node: cst.BaseExpression, name: cst.Name) -> bool:
    return isinstance(node, cst.Name) and node.value == name.value


def _is_program(kernel: Kernel, name: cst.Name) -> bool:
    """Tell whether a name is the number of the program along the first axis."""
    bound = kernel.scope.bindings.get(name.value, [])
    return len(bound) == 1 and isinstance(bound[0], cst.Call) and dotted(bound[0].func, "program_id")


def _rows_of_tiles(program: Program, kernel: Kernel, row: cst.BinaryOperation) -> str | None:
    """Tell how many rows of tiles there are from `offs = row * BLOCK + tl.arange(0, BLOCK)` and `offs < M`."""
    product, _ = program.tree.parent(row)
    total, _ = program.tree.parent(product)
    target, _ = program.tree.parent(total)
    if not isinstance(product, cst.BinaryOperation) or not isinstance(product.operator, cst.Multiply):
        return None
    block = product.right if product.left is row else product.left
    if not isinstance(block, cst.Name) or not isinstance(target, cst.Assign) or len(target.targets) != 1:
        return None
    name = target.targets[0].target
    if not isinstance(name, cst.Name):
        return None
    for node in descend(program.function(kernel)):
        if isinstance(node, cst.Comparison) and len(node.comparisons) == 1:
            one = node.comparisons[0]
            left = node.left.value if isinstance(node.left, cst.Subscript) else node.left
            if _is(left, name) and isinstance(one.operator, cst.LessThan) and isinstance(one.comparator, cst.Name):
                return f"tl.cdiv({one.comparator.value}, {block.value})"
    return None


def _before(program: Program, grid: Grid, lines: list[str]) -> tuple[Insertion, ...]:
    block, index = program.place(grid.first)
    path: Path = program.tree.path(block)
    return (Insertion(path, index, lines[0], partial(statements, *lines)),)


@dataclass(frozen=True, slots=True)
class _Becoming:
    text: str

    def __call__(self, node: cst.BinaryOperation) -> cst.BaseExpression:
        return expression(self.text)
