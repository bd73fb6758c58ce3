"""Finds the sizes that a module's file states, and runs the file with other sizes in their place.

Sizes are the whole numbers at the top level and in `get_inputs` and `get_init_inputs`, by their places in the file.
Theirs is code that runs: only in jailed children.
"""

import ast
import types
from collections.abc import Mapping
from typing import Any

from suites.parsing import parse

LEAST = 8  # below it a number is a kernel's width or a stride rather than a size
_DRAWING = ("get_inputs", "get_init_inputs")

Sizes = Mapping[int, int]  # by place in the file


def stated(source: str) -> dict[int, int]:
    """Return the sizes that a file states."""
    return {place: node.value for place, node in _numbers(parse(source)).items() if node.value >= LEAST}


def module(source: str, sizes: Sizes, name: str = "theirs") -> types.ModuleType:
    """Run a file with other sizes; what it defines is in the module."""
    made = types.ModuleType(name)
    exec(compile(_resized(source, sizes), f"{name}.py", "exec"), vars(made))
    return made


def resized(source: str, sizes: Sizes) -> str:
    """Return a file's text with other sizes; without any it is the same text."""
    return ast.unparse(_resized(source, sizes)) if sizes else source


def changes(source: str, sizes: Sizes) -> str:
    """Say which sizes of a file are others: the name that each is given, or the function in which it stands."""
    said = []
    for place, (node, owner) in _owned(parse(source)).items():
        if sizes.get(place, node.value) != node.value:
            said.append(f"{owner} {node.value} -> {sizes[place]}")
    return ", ".join(said)


def _resized(source: str, sizes: Sizes) -> ast.Module:
    tree = parse(source)
    for place, node in _numbers(tree).items():
        node.value = sizes.get(place, node.value)
    return tree


def _numbers(tree: ast.Module) -> dict[int, Any]:
    """Return the literal whole numbers that may be sizes, numbered in the order of the file."""
    return {place: node for place, (node, _) in _owned(tree).items()}


def _owned(tree: ast.Module) -> dict[int, tuple[Any, str]]:
    """Return these numbers with the names that they are given, or the name of the function in which they stand."""
    roots: list[tuple[ast.AST, str]] = []
    for node in tree.body:
        if isinstance(node, ast.Assign):
            roots.append((node.value, " = ".join(ast.unparse(t) for t in node.targets)))
        elif isinstance(node, ast.AnnAssign) and node.value is not None:
            roots.append((node.value, ast.unparse(node.target)))
        elif isinstance(node, ast.FunctionDef) and node.name in _DRAWING:
            roots.append((node, node.name))
    found = [(n, owner) for root, owner in roots for n in ast.walk(root) if _whole(n)]
    return dict(enumerate(found))


def _whole(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and type(node.value) is int
