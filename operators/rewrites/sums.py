"""Addresses as sums: a base, and what is added to it for every dimension."""

from collections.abc import Sequence
from functools import reduce

import libcst as cst

from operators.rewrites.program import expression


def addends(node: cst.BaseExpression) -> list[cst.BaseExpression]:
    """List the parts of a sum from left to right."""
    if isinstance(node, cst.BinaryOperation) and isinstance(node.operator, cst.Add):
        return [*addends(node.left), *addends(node.right)]
    return [node]


def joined(parts: Sequence[cst.BaseExpression]) -> cst.BaseExpression:
    """Return the sum of some parts."""
    return reduce(lambda left, right: cst.BinaryOperation(left, cst.Add(), right), parts)


def lanes_of(size: str) -> cst.BaseExpression:
    """Return the offsets in a block."""
    return expression(f"tl.arange(0, {size})")
