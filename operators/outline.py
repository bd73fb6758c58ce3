"""Which lines the statements of a program stand on, as Python's own parser says: all that is kept of its tree."""

import ast
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Lines:
    """The first and the last line of a statement, its decorators among them, and the statements in it."""

    first: int
    last: int
    body: tuple["Lines", ...]
    orelse: tuple["Lines", ...]


def outlined(statements: Sequence[ast.stmt]) -> tuple[Lines, ...]:
    """Return the lines of statements and of those below them."""
    return tuple(
        Lines(
            min([node.lineno, *(one.lineno for one in getattr(node, "decorator_list", ()))]),
            node.end_lineno or 0,
            outlined(getattr(node, "body", ())),
            outlined(getattr(node, "orelse", ())),
        )
        for node in statements
    )
