"""Tests a constraint on many configurations at once, as `constraints.py` tests each: with arrays where it can.

Whole numbers are computed with as floating-point ones, which is exact up to EXACT. Rows in which something larger comes
up, or a division by zero, and constraints on texts are left to the test of single configurations.
"""

import ast
from collections.abc import Mapping
from functools import reduce
from typing import Any

import numpy as np
from numpy.typing import NDArray

from operators.tune.constraints import BINARY, Constraint

EXACT = 2.0**53

Flags = NDArray[np.bool_]
Column = NDArray[Any]


def column(values: tuple[Any, ...]) -> Column:
    """Return a parameter's values as `met` takes them: as objects where they are not all numbers that it can take."""
    if all(isinstance(v, (int, float)) and abs(v) <= EXACT for v in values):
        return np.array(values, dtype=float)
    found = np.empty(len(values), dtype=object)
    found[:] = values
    return found


def met(test: Constraint, columns: Mapping[str, Column], rows: int) -> Flags:
    """Tell which of some rows meet a constraint; a column holds the values of one of its names in every row."""
    texts = any(isinstance(node, ast.Constant) and isinstance(node.value, str) for node in ast.walk(test.tree))
    if texts or any(one.dtype == object for one in columns.values()):
        return _singly(test, columns, np.arange(rows))
    with np.errstate(all="ignore"):
        value, unsure = _value(test.tree, columns)
    flags = np.broadcast_to(value != 0, rows).copy()
    left = np.flatnonzero(np.broadcast_to(unsure, rows))
    flags[left] = _singly(test, columns, left)
    return flags


def _singly(test: Constraint, columns: Mapping[str, Column], places: NDArray[np.int64]) -> Flags:
    """Test each row by itself, equal ones once."""
    names = [test.prefix + name for name in columns]
    rows = list(zip(*(one[places].tolist() for one in columns.values()), strict=True))
    known = {row: test(dict(zip(names, row, strict=True))) for row in set(rows)}
    return np.array([known[row] for row in rows], dtype=bool)


def _value(node: ast.AST, columns: Mapping[str, Column]) -> tuple[Any, Any]:
    """Return an expression's value in every row, and which rows' cannot be told so."""
    if isinstance(node, ast.Name):
        return columns[node.id], np.False_
    if isinstance(node, ast.Constant):
        return np.float64(node.value), np.bool_(not abs(node.value) <= EXACT)  # type: ignore[arg-type]
    if isinstance(node, ast.UnaryOp):
        value, unsure = _value(node.operand, columns)
        return ((value == 0) * 1.0 if isinstance(node.op, ast.Not) else -value), unsure
    if isinstance(node, ast.BinOp):
        (left, one), (right, other) = _value(node.left, columns), _value(node.right, columns)
        value = BINARY[type(node.op)](left, right)
        return value, one | other | ~(np.abs(value) <= EXACT)
    if isinstance(node, ast.BoolOp):
        parts = [_value(part, columns) for part in node.values]
        combine = np.logical_and if isinstance(node.op, ast.And) else np.logical_or
        return reduce(combine, [value != 0 for value, _ in parts]) * 1.0, reduce(np.logical_or, [u for _, u in parts])
    assert isinstance(node, ast.Compare)
    sides = [_value(side, columns) for side in (node.left, *node.comparators)]
    held = [BINARY[type(op)](a, b) for op, (a, _), (b, _) in zip(node.ops, sides, sides[1:], strict=False)]
    return reduce(np.logical_and, held) * 1.0, reduce(np.logical_or, [u for _, u in sides])
