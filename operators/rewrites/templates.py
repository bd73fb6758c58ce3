"""Parses the few words that a rewrite puts in, and fills parts of a program in for their names."""

from collections.abc import Iterator, Mapping
from functools import cache, lru_cache, partial
from typing import Any

import libcst as cst

from operators.program_tree import Path, copied, edited
from operators.walking import steps


@cache
def _expression(text: str) -> cst.BaseExpression:
    return cst.parse_expression(text)


def expression(text: str, **parts: cst.BaseExpression) -> cst.BaseExpression:
    """Parse an expression and put others in the place of its names; parentheses are added where they may matter."""
    found: cst.BaseExpression = _filled(_expression(text), parts)
    return found


def statement(text: str, **parts: cst.BaseExpression) -> cst.BaseStatement:
    """Parse a statement and put expressions in the place of its names."""
    found: cst.BaseStatement = _filled(_statement(text), parts)
    return found


def statements(*texts: str) -> tuple[cst.BaseStatement, ...]:
    """Parse lines, one statement each."""
    return tuple(statement(text) for text in texts)


@cache
def _statement(text: str) -> cst.BaseStatement:
    return cst.parse_statement(text)


ATOMS = (cst.Name, cst.Attribute, cst.Call, cst.Subscript, cst.Integer, cst.Float, cst.SimpleString)


def _filled(template: Any, parts: Mapping[str, cst.BaseExpression]) -> Any:
    """Put expressions in the place of names; those of attributes and keywords stay."""
    if not parts:
        return template
    given = {name: part if type(part) in ATOMS or part.lpar else with_parentheses(part) for name, part in parts.items()}
    return edited(template, [(path, partial(_instead, part=given[n])) for path, n in _names(template) if n in given])


def _instead(node: cst.CSTNode, part: cst.BaseExpression) -> cst.BaseExpression:
    return part


@lru_cache(maxsize=1024)
def _names(node: cst.CSTNode) -> tuple[tuple[Path, str], ...]:
    """Return the names in a node, each with the steps down to it."""
    return tuple(_below(node, ()))


def _below(node: cst.CSTNode, above: Path) -> Iterator[tuple[Path, str]]:
    if type(node) is cst.Name:
        yield above, node.value
    for name, index, child in steps(node):
        yield from _below(child, (*above, (name, index)))


def with_parentheses(node: cst.BaseExpression) -> cst.BaseExpression:
    """Return an expression in parentheses of its own."""
    return copied(node, {"lpar": [cst.LeftParen(), *node.lpar], "rpar": [*node.rpar, cst.RightParen()]})
