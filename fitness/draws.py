"""Writes the part of a module's file that draws its inputs, for a child that is not to hold the module."""

import ast

from suites.parsing import parse


def alone(source: str) -> str:
    """Return a file's text without the classes that nothing else at its top level names."""
    tree = parse(source)
    left = {c.name: c for c in tree.body if isinstance(c, ast.ClassDef)}
    kept: list[ast.stmt] = [s for s in tree.body if not isinstance(s, ast.ClassDef)]
    for statement in kept:  # grows by the classes that are named
        named = {n.id for n in ast.walk(statement) if isinstance(n, ast.Name)}
        kept += [left.pop(name) for name in named & left.keys()]
    tree.body = [s for s in tree.body if s in kept]
    return ast.unparse(tree)
