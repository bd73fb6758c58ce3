"""A division by what does not change in a loop as a product with its reciprocal, computed once."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import libcst as cst

from operators.launches import Kernel
from operators.program_tree import Path
from operators.rewrites.program import Program, Site, binds, fresh_name
from operators.rewrites.splicing import Insertion
from operators.rewrites.templates import expression, statements


@dataclass(frozen=True, slots=True)
class Reciprocal:
    """One division before a loop in the place of one for every element."""

    name: str = "divide-by-reciprocal"
    intent: str = "divide once and multiply by the reciprocal"

    def sites(self, program: Program) -> Iterator[Site]:
        """Find divisions by a name that is bound once, and the product where nothing can be kept."""
        for operation, kernel in program.operations(cst.Divide):
            if _one(operation.left):
                continue
            name = operation.right.value if isinstance(operation.right, cst.Name) else ""
            insertion = _before(program, kernel, operation, name)
            said = program.text(operation)
            if insertion is None:
                yield Site(said, ((program.tree.path(operation), _product),))
                continue
            inverse = fresh_name(program, kernel, f"{name}_inverse")
            assigned = partial(statements, f"{inverse} = 1.0 / {name}")
            edit = partial(_times, inverse=inverse)
            yield Site(said, ((program.tree.path(operation), edit),), (Insertion(*insertion, inverse, assigned),))


def _one(node: cst.BaseExpression) -> bool:
    return isinstance(node, (cst.Integer, cst.Float)) and node.evaluated_value == 1


def _times(node: cst.BinaryOperation, inverse: str) -> cst.BaseExpression:
    return expression(f"x * {inverse}", x=node.left)


def _product(node: cst.BinaryOperation) -> cst.BaseExpression:
    return expression("x * (1.0 / y)", x=node.left, y=node.right)


def _before(program: Program, kernel: Kernel, node: cst.CSTNode, name: str) -> tuple[Path, int] | None:
    """Return where a reciprocal can be computed: before the outermost loop around that does not bind the name."""
    if not name or len(kernel.scope.bindings.get(name, ())) != 1:
        return None
    outermost = None
    for loop in program.within(node):
        if binds(loop, name):
            break
        outermost = loop
    if outermost is None:
        return None
    block, index = program.place(outermost)
    return program.tree.path(block), index
