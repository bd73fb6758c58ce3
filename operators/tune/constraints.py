"""Constraints as a person writes them: comparisons of parameters, such as `BLOCK_M * BLOCK_N <= 16384`.

They are read by Python's parser, but are no Python: names of parameters, numbers and texts, arithmetic, comparisons,
and, or, not. Nothing is called, so a table or a configuration from elsewhere can do no harm.
"""

import ast
import copy
import operator
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any

from suites.parsing import parse

LONGEST = 500  # characters
BINARY: Mapping[type[ast.AST], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv, ast.Mod: operator.mod, ast.Lt: operator.lt, ast.LtE: operator.le,
    ast.Gt: operator.gt, ast.GtE: operator.ge, ast.Eq: operator.eq, ast.NotEq: operator.ne,
}  # fmt: skip


class ConstraintError(ValueError):
    """A constraint that says nothing, or nothing of these parameters."""


@dataclass(frozen=True, slots=True)
class Constraint:
    """One condition on a configuration; where it divides by zero, or sets a text against a number, it is not met."""

    text: str
    tree: ast.expr = field(compare=False, repr=False)
    names: frozenset[str]
    prefix: str = ""  # of its parameters' names among the values: `softmax_kernel.` for the knobs of one launch

    def __call__(self, values: Mapping[str, Any]) -> bool:
        """Tell whether it is met by the values of its parameters."""
        try:
            return bool(_value(self.tree, {name: values[self.prefix + name] for name in self.names}))
        except (ZeroDivisionError, TypeError):
            return False

    def on(self, others: Mapping[str, str]) -> "Constraint":
        """Return the same condition on the parameters that stand for its own, both by their whole names."""
        names = {name: others[self.prefix + name] for name in self.names}
        if all(self.prefix + name == other for name, other in names.items()):
            return self
        return Constraint(self.text, _renamed(self.tree, names), frozenset(names.values()))


def read(text: str) -> Constraint:
    """Read a constraint; raise ConstraintError where it is none."""
    try:
        body = parse(text.strip()).body if len(text) <= LONGEST else []
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        body = []
    if len(body) != 1 or not isinstance(body[0], ast.Expr):
        raise ConstraintError(
            f"constraint {text[:80]!r} is no condition: expected one such as 'BLOCK_M * 2 <= BLOCK_N'"
        )
    tree = body[0].value
    for node in ast.walk(tree):
        if not _known(node):
            raise ConstraintError(f"constraint {text!r} may hold names, numbers, arithmetic and comparisons alone")
    names = frozenset(node.id for node in ast.walk(tree) if isinstance(node, ast.Name))
    if not names:
        raise ConstraintError(f"constraint {text!r} names no parameter")
    return Constraint(text, tree, names)


def about(text: str, parameters: Collection[str]) -> Constraint:
    """Read a constraint on parameters of these names."""
    made = read(text)
    unknown = sorted(made.names.difference(parameters))
    if unknown:
        raise ConstraintError(f"constraint {text!r} names {unknown[0]}, which is none of {', '.join(parameters)}")
    return made


def blame(constraints: Sequence[Constraint], every: Sequence[Mapping[str, Any]]) -> str:
    """Say which of some constraints no configuration meets: one alone, or two together, or all."""
    met = {c.text: [c(values) for values in every] for c in constraints}
    alone = [text for text, flags in met.items() if not any(flags)]
    if alone:
        return f"none of {len(every):,} configurations meets {alone[0]!r}"
    for (one, here), (other, there) in combinations(met.items(), 2):
        if not any(a and b for a, b in zip(here, there, strict=True)):
            return f"none of {len(every):,} configurations meets both {one!r} and {other!r}: they contradict each other"
    return f"none of {len(every):,} configurations meets all of {', '.join(map(repr, met))}"


def _renamed(tree: ast.expr, names: Mapping[str, str]) -> ast.expr:
    made = copy.deepcopy(tree)
    for node in ast.walk(made):
        if isinstance(node, ast.Name):
            node.id = names[node.id]
    return made


def _known(node: ast.AST) -> bool:
    if isinstance(node, ast.Constant):
        return isinstance(node.value, (int, float, str))
    if isinstance(node, (ast.BinOp, ast.Compare)):
        return all(type(op) in BINARY for op in (node.ops if isinstance(node, ast.Compare) else [node.op]))
    kinds = (ast.Name, ast.BoolOp, ast.UnaryOp, ast.Load, ast.boolop, ast.Not, ast.USub, *BINARY)
    return isinstance(node, kinds)


def _value(node: ast.expr, values: Mapping[str, Any]) -> Any:
    if isinstance(node, ast.Name):
        return values[node.id]
    if isinstance(node, ast.Constant):
        return node.value
    if isinstance(node, ast.BinOp):
        left, right = _value(node.left, values), _value(node.right, values)
        if isinstance(left, str) or isinstance(right, str):
            raise TypeError("texts are compared, not computed with")
        return BINARY[type(node.op)](left, right)
    if isinstance(node, ast.UnaryOp):
        value = _value(node.operand, values)
        return not value if isinstance(node.op, ast.Not) else -value
    if isinstance(node, ast.BoolOp):
        every = isinstance(node.op, ast.And)
        return (all if every else any)(_value(part, values) for part in node.values)
    assert isinstance(node, ast.Compare)
    sides = [_value(side, values) for side in (node.left, *node.comparators)]
    return all(BINARY[type(op)](a, b) for op, a, b in zip(node.ops, sides, sides[1:], strict=False))
