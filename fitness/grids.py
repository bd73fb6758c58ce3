"""Finds where a launcher says how many programs run, and makes them too few."""

import ast
from collections.abc import Iterator

from fitness.wholes import Change

_CEILINGS = ("triton.cdiv", "cdiv")


def changes(function: ast.FunctionDef) -> Iterator[Change]:
    """Yield each size of each grid with one program less, and with the last, partial tile left out."""
    every = [n for n in ast.walk(function) if isinstance(n, ast.Call) and isinstance(n.func, ast.Subscript)]
    for size in (s for n in every if isinstance(n.func, ast.Subscript) for s in _sizes(n.func.slice, function)):
        if not (isinstance(size, ast.Constant) and size.value == 1):
            yield size, "skip a tile", f"({ast.unparse(size)}) - 1"
        for part in ast.walk(size):
            if isinstance(part, ast.Call) and ast.unparse(part.func) in _CEILINGS:
                plain = [a for a in part.args if not isinstance(a, ast.Starred)]
                given = [*plain, *(k.value for k in part.keywords if k.arg is not None)]
                if len(given) == 2:  # else what is divided by what is not written here
                    yield part, "skip a tile", "(({}) // ({}))".format(*map(ast.unparse, given))


def _sizes(grid: ast.expr, function: ast.FunctionDef) -> list[ast.expr]:
    """Return a grid's sizes, also where it is a lambda or has a name in the launcher."""
    if isinstance(grid, ast.Name):
        named = [n.value for n in ast.walk(function) if isinstance(n, ast.Assign) and _names(n, grid.id)]
        return [size for value in named if not isinstance(value, ast.Name) for size in _sizes(value, function)]
    if isinstance(grid, ast.Lambda):
        return _sizes(grid.body, function)
    return list(grid.elts) if isinstance(grid, ast.Tuple) else []


def _names(node: ast.Assign, name: str) -> bool:
    return any(isinstance(target, ast.Name) and target.id == name for target in node.targets)
