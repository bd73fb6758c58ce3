"""Tells the compiler what it cannot see of offsets: that they are contiguous and start at a multiple."""

from collections.abc import Iterator
from dataclasses import dataclass

import libcst as cst

from operators.rewrites.program import Program, Site, binds, dotted
from operators.rewrites.templates import expression
from operators.walking import descend


@dataclass(frozen=True, slots=True)
class Alignment:
    """tl.max_contiguous(tl.multiple_of(offsets, BLOCK), BLOCK) around offsets that count on from a block's start."""

    name: str = "alignment-hints"
    intent: str = "say that a block's offsets are contiguous and begin at a multiple of its size"

    def sites(self, program: Program) -> Iterator[Site]:
        """Find sums of tl.arange(0, BLOCK) and a start that is a product with BLOCK, or a loop's step by it."""
        for operation, _ in program.operations(cst.Add):
            block = sized(operation.right)
            if block is None or not multiple(program, operation.left, block):
                continue
            edit = _Hinted(block)
            yield Site(program.text(operation), ((program.tree.path(operation), edit),))


@dataclass(frozen=True, slots=True)
class _Hinted:
    block: str

    def __call__(self, node: cst.BinaryOperation) -> cst.BaseExpression:
        return expression(
            f"tl.max_contiguous(tl.multiple_of(x, {self.block}), {self.block})", x=node.with_changes(lpar=[], rpar=[])
        )


def sized(node: cst.BaseExpression) -> str | None:
    """Return the name of the size that a tl.arange from 0 on has."""
    if type(node) is not cst.Call or not dotted(node.func, "arange") or len(node.args) != 2:
        return None
    first, size = (a.value for a in node.args)
    zero = type(first) is cst.Integer and int(first.value, 0) == 0
    return size.value if zero and type(size) is cst.Name else None


def multiple(program: Program, node: cst.BaseExpression, block: str) -> bool:
    """Tell whether an expression is a product with a size, or the variable of a loop from 0 on that steps by it."""
    if type(node) is cst.BinaryOperation and type(node.operator) is cst.Multiply:
        return any(type(side) is cst.Name and side.value == block for side in (node.left, node.right))
    loop = loop_of(program, node)
    return loop is not None and type(loop.iter) is cst.Call and _steps(loop.iter, block)


def loop_of(program: Program, node: cst.BaseExpression) -> cst.For | None:
    """Return the loop around a name whose variable it is, if nothing else gives that a value in the loop."""
    if type(node) is not cst.Name:
        return None
    for loop in program.within(node):
        if type(loop) is cst.For and type(loop.target) is cst.Name and loop.target.value == node.value:
            return None if binds(loop.body, node.value) else loop
    return None


def _steps(call: cst.Call, block: str) -> bool:
    given = [a.value for a in call.args if a.keyword is None]
    if len(given) != 3:
        return False
    start, _, step = given
    zero = type(start) is cst.Integer and int(start.value, 0) == 0
    return zero and any(type(p) is cst.Name and p.value == block for p in descend(step)) and type(step) is cst.Name
