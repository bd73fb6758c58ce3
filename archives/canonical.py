"""A program without comments, docstrings and formatting, made of its top-level statements one by one.

Most of a rewritten program is its parent's text. Each piece of it is parsed once, so that to tell whether a program is
new costs what is new in it.
"""

import ast
import re
from collections.abc import Iterator
from functools import lru_cache

from suites.parsing import parse

_STARTS = re.compile(r"^(?=[@\w])(?!(?:else|elif|except|finally)\b)", re.MULTILINE)


def canonical(source: str) -> str:
    """Return `ast.dump` of a program whose docstrings are taken out; raise what `ast.parse` raises."""
    found: list[str] = []
    try:
        for piece in _pieces(source):
            found += _dumped(piece, first=not found)
    except SyntaxError:  # a line begins inside a text or brackets, or the program is wrong
        found = _dumps(parse(source), first=True)
    kept = [statement for statement in found if statement] or ["Pass()"] * bool(found)
    return f"Module(body=[{', '.join(kept)}], type_ignores=[])"


def _pieces(source: str) -> Iterator[str]:
    """Cut a text before lines that may begin a statement; where every piece is a program, the whole is all of them."""
    begun, decorated = 0, False
    for start in (found.start() for found in _STARTS.finditer(source)):
        if not decorated:
            yield source[begun:start]
            begun = start
        decorated = source[start] == "@"
    yield source[begun:]


@lru_cache(maxsize=256)
def _dumped(piece: str, first: bool) -> tuple[str, ...]:
    return tuple(_dumps(parse(piece), first))


def _dumps(tree: ast.Module, first: bool) -> list[str]:
    """Dump statements; where they are the `first` of a program, its docstring gives an empty text."""
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and _documented(node):
            node.body = node.body[1:] or [ast.Pass()]
    dumps = [ast.dump(statement) for statement in tree.body]
    return ["", *dumps[1:]] if first and _documented(tree) else dumps


def _documented(node: ast.Module | ast.FunctionDef | ast.ClassDef) -> bool:
    return ast.get_docstring(node, clean=False) is not None
