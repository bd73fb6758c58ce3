"""Names of one function made fit for another: replaced, while attributes and keywords keep theirs."""

from collections.abc import Mapping
from typing import TypeVar

import libcst as cst

from operators.rewrites.program import ATOMS, expression

Node = TypeVar("Node", bound=cst.CSTNode)


def renamed(node: Node, names: Mapping[str, cst.BaseExpression]) -> Node:
    """Return a node with names replaced by other names, or by expressions."""
    made = node.visit(_Renaming(names))
    assert isinstance(made, cst.CSTNode)
    return made


class _Renaming(cst.CSTTransformer):
    def __init__(self, names: Mapping[str, cst.BaseExpression]) -> None:
        super().__init__()
        self._names = names

    def leave_Attribute(self, original_node: cst.Attribute, updated_node: cst.Attribute) -> cst.Attribute:  # noqa: N802
        return updated_node.with_changes(attr=original_node.attr)

    def leave_Arg(self, original_node: cst.Arg, updated_node: cst.Arg) -> cst.Arg:  # noqa: N802
        return updated_node.with_changes(keyword=original_node.keyword)

    def leave_Name(self, original_node: cst.Name, updated_node: cst.Name) -> cst.BaseExpression:  # noqa: N802
        value = self._names.get(original_node.value)
        if value is None or isinstance(value, ATOMS) or value.lpar:
            return updated_node if value is None else value
        return expression("(x)", x=value)
