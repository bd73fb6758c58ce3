"""Names of one function made fit for another: replaced, while attributes and keywords keep theirs."""

from collections.abc import Mapping
from functools import partial
from typing import Any, TypeVar

import libcst as cst

from operators.program_tree import Edit
from operators.rewrites.special import each_replaced
from operators.rewrites.templates import ATOMS, expression
from operators.walking import of_kind

Node = TypeVar("Node", bound=cst.CSTNode)


def renamed(node: Node, names: Mapping[str, cst.BaseExpression]) -> Node:
    """Return a node with names replaced by other names, or by expressions."""
    changes: dict[cst.CSTNode, Edit] = {
        name: partial(_becoming, value=names[name.value]) for name in of_kind(node, cst.Name) if name.value in names
    }
    made: Node = each_replaced(node, changes) if changes else node
    return made


def _becoming(name: Any, value: cst.BaseExpression) -> cst.BaseExpression:
    return value if isinstance(value, ATOMS) or value.lpar else expression("(x)", x=value)
