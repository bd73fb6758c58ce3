"""A program without comments, docstrings and formatting, made of its top-level statements one by one.

Most of a rewritten program is its parent's text. Each piece of it is parsed once, and each line of a kernel dumped
once, so that to tell whether a program is new costs what is new in it.
"""

import ast
import re
from collections.abc import Iterator, Sequence
from functools import lru_cache

from suites.parsing import parse

REMEMBERED = 8192  # dumps of simple statements, by their text

_LINES = re.compile(r"[^\r\n]*(?:\r\n|\n|\r)|[^\r\n]+")
_OPENED = (ast.FunctionDef, ast.ClassDef, ast.For, ast.While, ast.If, ast.With)
_BLOCKS = ("body", "orelse", "finalbody", "handlers", "cases")  # lists of statements, or of what has such
_PARTED = (ast.Match,)  # compound, and without a body of its own
_known: dict[str, str] = {}
_STARTS = re.compile(r"^(?=[@\w])(?!(?:else|elif|except|finally)\b)", re.MULTILINE)


def canonical(source: str) -> str:
    """Return `ast.dump` of a program whose docstrings are taken out; raise what `ast.parse` raises."""
    found: list[str] = []
    try:
        for piece in _pieces(source):
            found += _dumped(piece, first=not found)
    except SyntaxError:  # a line begins inside a text or brackets, or the program is wrong
        found = _dumps(parse(source), True, source)
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
    return tuple(_dumps(parse(piece), first, piece))


def _dumps(tree: ast.Module, first: bool, source: str) -> list[str]:
    """Dump statements; where they are the `first` of a program, its docstring gives an empty text."""
    for node in _definitions(tree):
        if _documented(node):
            node.body = node.body[1:] or [ast.Pass()]
    lines = [line.encode() for line in _LINES.findall(source)]
    dumps = [_dump(statement, lines) for statement in tree.body]
    return ["", *dumps[1:]] if first and _documented(tree) else dumps


def _definitions(node: ast.AST) -> Iterator[ast.FunctionDef | ast.ClassDef]:
    """Give the functions and classes below a node; none is within an expression, where most nodes are."""
    for name in _BLOCKS:
        for inner in getattr(node, name, ()):
            if isinstance(inner, (ast.FunctionDef, ast.ClassDef)):
                yield inner
            yield from _definitions(inner)


def _dump(node: ast.stmt, lines: Sequence[bytes]) -> str:
    """Dump a statement: what is in its blocks one by one, so that a kernel costs what is new in it."""
    blocks = [name for name in ("body", "orelse") if getattr(node, name, None)] if isinstance(node, _OPENED) else []
    if not blocks:
        return _remembered(node, lines)
    inner = {name: ", ".join([_dump(one, lines) for one in getattr(node, name)]) for name in blocks}
    for name in blocks:
        setattr(node, name, [ast.Constant(f"\0{name}")])
    plain = ast.dump(node)
    for name, dumps in inner.items():
        plain = plain.replace(ast.dump(ast.Constant(f"\0{name}")), dumps, 1)
    return plain


def _remembered(node: ast.stmt, lines: Sequence[bytes]) -> str:
    """Dump a statement, of a simple one what was made of the same text before."""
    text = "" if hasattr(node, "body") or isinstance(node, _PARTED) else _segment(node, lines)
    found = _known.get(text)
    if found is None:
        found = ast.dump(node)
        if text:
            if len(_known) >= REMEMBERED:
                _known.clear()
            _known[text] = found
    return found


def _segment(node: ast.stmt, lines: Sequence[bytes]) -> str:
    """Return the text of a statement; no text where it is not known."""
    begin, end = getattr(node, "lineno", 0) - 1, (getattr(node, "end_lineno", 0) or 0) - 1
    if not 0 <= begin <= end < len(lines):
        return ""
    if begin == end:
        return lines[begin][node.col_offset : node.end_col_offset].decode()
    inner = (lines[begin][node.col_offset :], *lines[begin + 1 : end], lines[end][: node.end_col_offset])
    return b"".join(inner).decode()


def _documented(node: ast.Module | ast.FunctionDef | ast.ClassDef) -> bool:
    return ast.get_docstring(node, clean=False) is not None
