"""The order in which programs take the tiles of a matrix: what neighbours share lies in the caches."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import libcst as cst

from operators.launches import Kernel
from operators.program_tree import Path
from operators.rewrites.printing import code
from operators.rewrites.program import Program, Site, adding_constexpr, dotted, fresh_name
from operators.rewrites.programs import axis_of
from operators.rewrites.splicing import Insertion
from operators.rewrites.templates import expression, statements
from operators.walking import descend

GROUP = 8  # rows of tiles that are taken together at first; the tuner moves it


@dataclass(frozen=True, slots=True)
class Grid:
    """A grid of one dimension that stands for two: `pid // across` is the row of tiles, `pid % across` the column."""

    kernel: Kernel
    row: cst.BinaryOperation
    column: cst.BinaryOperation
    pid: str
    across: str
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
            names |= {"pid": grid.pid, "across": grid.across, "tiles": grid.tiles}
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
            yield Site(
                f"{program.text(grid.row)} and {program.text(grid.column)}",
                (
                    (program.tree.path(grid.row), _Becoming(f"({grid.pid} % {down})")),
                    (program.tree.path(grid.column), _Becoming(f"({grid.pid} // {down})")),
                ),
                _before(program, grid, [f"{down} = {grid.tiles}"]),
            )


def grids(program: Program) -> Iterator[Grid]:
    """Find grids of one dimension that stand for two, where the number of rows of tiles can be told."""
    columns = list(program.operations(cst.Modulo))
    for row, kernel in program.operations(cst.FloorDivide):
        if not isinstance(row.right, cst.Name) or not _is_program(kernel, row.left):
            continue
        pid, across = code(row.left), row.right.value
        same = [c for c, k in columns if k is kernel and (code(c.left), code(c.right)) == (pid, across)]
        tiles = _rows_of_tiles(program, kernel, row)
        if len(same) == 1 and tiles and program.place(row)[0] is program.place(same[0])[0]:
            first = min((row, same[0]), key=lambda node: program.place(node)[1])
            yield Grid(kernel, row, same[0], pid, across, tiles, first)


def _is_program(kernel: Kernel, node: cst.CSTNode) -> bool:
    """Tell whether an expression is the number of the program along the first axis, or a name for it."""
    if isinstance(node, cst.Name):
        bound = kernel.scope.bindings.get(node.value, [])
        return len(bound) == 1 and isinstance(bound[0], cst.Call) and _is_program(kernel, bound[0])
    return isinstance(node, cst.Call) and dotted(node.func, "program_id") and axis_of(node) == 0


def _rows_of_tiles(program: Program, kernel: Kernel, row: cst.BinaryOperation) -> str | None:
    """Tell how many rows of tiles there are: from what a tile's rows are compared with, or from the grid's size."""
    product, _ = program.tree.parent(row)
    if not isinstance(product, cst.BinaryOperation) or not isinstance(product.operator, cst.Multiply):
        return None
    block = product.right if product.left is row else product.left
    if not isinstance(block, cst.Name) or block.value not in kernel.constexprs:
        return None
    rows = _compared(program, kernel, product)
    return f"tl.cdiv({rows}, {block.value})" if rows else f"tl.cdiv(tl.num_programs(0), {code(row.right)})"


def _compared(program: Program, kernel: Kernel, product: cst.BinaryOperation) -> str | None:
    """Return the M of `offs = row * BLOCK + tl.arange(0, BLOCK)` and `offs < M`, if that is the only end of offs."""
    total, _ = program.tree.parent(product)
    target, _ = program.tree.parent(total)
    name = target.targets[0].target if isinstance(target, cst.Assign) and len(target.targets) == 1 else None
    if not isinstance(name, cst.Name):
        return None
    ends: set[str] = set()
    for node in descend(program.function(kernel)):
        if isinstance(node, cst.Comparison) and len(node.comparisons) == 1:
            one = node.comparisons[0]
            left = node.left.value if isinstance(node.left, cst.Subscript) else node.left
            same = isinstance(left, cst.Name) and left.value == name.value
            if same and isinstance(one.operator, cst.LessThan) and isinstance(one.comparator, cst.Name):
                ends.add(one.comparator.value)
    return ends.pop() if len(ends) == 1 else None


def _before(program: Program, grid: Grid, lines: list[str]) -> tuple[Insertion, ...]:
    block, index = program.place(grid.first)
    path: Path = program.tree.path(block)
    return (Insertion(path, index, lines[0], partial(statements, *lines)),)


@dataclass(frozen=True, slots=True)
class _Becoming:
    text: str

    def __call__(self, node: cst.BinaryOperation) -> cst.BaseExpression:
        return expression(self.text)
