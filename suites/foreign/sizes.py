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
    tree = parse(source)
    for place, node in _numbers(tree).items():
        node.value = sizes.get(place, node.value)
    made = types.ModuleType(name)
    exec(compile(tree, f"{name}.py", "exec"), vars(made))
    return made


def _numbers(tree: ast.Module) -> dict[int, Any]:
    """Return the literal whole numbers that may be sizes, numbered in the order of the file."""
    roots: list[ast.AST] = []
    for node in tree.body:
        if isinstance(node, (ast.Assign, ast.AnnAssign)) and node.value is not None:
            roots.append(node.value)
        elif isinstance(node, ast.FunctionDef) and node.name in _DRAWING:
            roots.append(node)
    found = [n for root in roots for n in ast.walk(root) if isinstance(n, ast.Constant) and type(n.value) is int]
    return dict(enumerate(found))
