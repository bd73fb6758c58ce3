"""Addresses as sums: a base, and what is added to it for every dimension."""

from collections.abc import Iterable, Sequence
from functools import reduce

import libcst as cst

from operators.launches import Kernel
from operators.rewrites.printing import code
from operators.rewrites.program import dotted
from operators.rewrites.templates import expression
from operators.walking import of_kind


def addends(node: cst.BaseExpression) -> list[cst.BaseExpression]:
    """List the parts of a sum from left to right."""
    if type(node) is cst.BinaryOperation and type(node.operator) is cst.Add:
        return [*addends(node.left), *addends(node.right)]
    return [node]


def joined(parts: Sequence[cst.BaseExpression]) -> cst.BaseExpression:
    """Return the sum of some parts."""
    return reduce(lambda left, right: cst.BinaryOperation(left, cst.Add(), right), parts)


def lanes_of(size: str) -> cst.BaseExpression:
    """Return the offsets in a block."""
    return expression(f"tl.arange(0, {size})")


def counted_from(kernel: Kernel, name: str) -> tuple[list[cst.BaseExpression], cst.BaseExpression] | None:
    """Return where offsets begin, as parts of a sum, and their number, if a name is `start + tl.arange(0, N)`."""
    values = kernel.scope.bindings.get(name, ())
    texts = {code(v) if isinstance(v, cst.BaseExpression) else "" for v in values}
    value = next(iter(values), None) if len(texts) == 1 else None
    if not isinstance(value, cst.BaseExpression):
        return None
    *starts, last = addends(value)
    if type(last) is not cst.Call or not dotted(last.func, "arange") or len(last.args) != 2:
        return None
    return (starts, last.args[1].value) if code(last.args[0].value) == "0" else None


def depend(kernel: Kernel, nodes: Iterable[cst.CSTNode], name: str) -> bool:
    """Tell whether expressions may depend on a name, also through others."""
    waiting = {n.value for node in nodes for n in of_kind(node, cst.Name)}
    seen: set[str] = set()
    while waiting:
        seen |= waiting
        values = [v for one in waiting for v in kernel.scope.bindings.get(one, ()) if v is not None]
        waiting = {n.value for v in values for n in of_kind(v, cst.Name)} - seen
    return name in seen
