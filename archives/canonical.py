"""A program without comments, docstrings and formatting, made of its top-level statements one by one.

Most of a rewritten program is its parent's text. Each piece of it is parsed once, and each line of a kernel read and
dumped once, so that to tell whether a program is new costs what is new in it.
"""

import ast
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from archives.dumping import dumped
from suites.parsing import parse

REMEMBERED = 8192  # dumps of simple statements, by their text

_LINES = re.compile(r"[^\r\n]*(?:\r\n|\n|\r)|[^\r\n]+")
_OPENED = (ast.FunctionDef, ast.ClassDef, ast.For, ast.While, ast.If, ast.With)
_BLOCKS = ("body", "orelse", "finalbody", "handlers", "cases")  # lists of statements, or of what has such
_PARTED = (ast.Match,)  # compound, and without a body of its own
_HEADS = {ast.For: ("target", "iter"), ast.While: ("test",), ast.If: ("test",)}  # the last of each ends the head
_known: dict[str, str] = {}
_known_heads: dict[str, dict[str, str]] = {}
_SHORT = {"for": "for _ in 0:", "while": "while 0:", "if": "if 0:"}
Place = tuple[int, int]
_NONE: Mapping[Place, Sequence[str]] = {}
_SPACE = " \t\f\r\n"
_TEXT = "Expr(value=Constant("
_STARTS = re.compile(r"^(?=[@\w])(?!(?:else|elif|except|finally)\b)", re.MULTILINE)


class _Within(Exception):
    """A line that something stands for is no statement."""


@dataclass(slots=True)
class _Text:
    """The lines of statements, where a number stands for which others, and how many of those were met."""

    lines: list[bytes]
    stand: Mapping[Place, Sequence[str]]
    met: int = 0


def canonical(source: str) -> str:
    """Return `ast.dump` of a program whose docstrings are taken out; raise what `ast.parse` raises."""
    found: list[str] = []
    try:
        for piece in _pieces(source):
            found += _dumped(piece, first=not found)
    except SyntaxError:  # a line begins inside a text or brackets, or the program is wrong
        found = _dumps(parse(source), True, _lines(source))
    kept = [statement for statement in found if statement] or ["Pass()"] * bool(found)
    return f"Module(body=[{', '.join(kept)}], type_ignores=[])"


def forget() -> None:
    """Forget what was read and dumped before, so that a measure begins with nothing."""
    _known.clear()
    _known_heads.clear()
    _dumped.cache_clear()


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
    lines = _lines(piece)
    return tuple(_shortly(lines, first) or _dumps(parse(piece), first, lines))


def _lines(source: str) -> list[str]:
    return _LINES.findall(source)


def _shortly(lines: Sequence[str], first: bool) -> list[str] | None:
    """Dump statements of which a number takes the place of lines that are dumped already, or above: less is parsed.

    Such lines below one another are one number, and a head keeps its first word. Where one is within a longer statement
    or a text, that cannot be done.
    """
    short, stand = list(lines), dict[Place, list[str]]()
    above: tuple[list[str], str] | None = None  # what the number above stands for, and the space before it
    met, depth = set[str](), 0
    for number, line in enumerate(lines, 1):
        text = line.strip(_SPACE)
        instead = _instead(text, met)
        if not instead:
            above = None
            opened = _opened(text)
            if not depth and not opened and _is_whole(text):
                met.add(text)
            depth += opened
            continue
        at = line.index(text)
        space = line[:at]
        if above is not None and above[1] == space and instead == "0":
            short[number - 1] = "\n"
            above[0].append(text)
            continue
        short[number - 1] = f"{space}{instead}{line[at + len(text) :]}"
        stand[number, at] = [text]
        above = None if instead != "0" or _goes_on(lines, number - 1) else (stand[number, at], space)
    if not stand:
        return None
    try:
        return _dumps(parse("".join(short)), first, short, stand)
    except (SyntaxError, _Within):
        return None


def _instead(text: str, met: Collection[str]) -> str:
    """Return what takes the place of a line that was met or is known, nothing for another."""
    if text.endswith(":"):
        return _SHORT.get(text.partition(" ")[0], "") if text in met or text[:-1] in _known_heads else ""
    return "0" if text in met or not _known.get(text, _TEXT).startswith(_TEXT) else ""  # a text may be a docstring


def _opened(text: str) -> int:
    """Count the brackets that a line leaves open."""
    return sum([text.count(one) for one in "([{"]) - sum([text.count(one) for one in ")]}"])


def _is_whole(text: str) -> bool:
    """Tell whether a line without brackets left open may be a head or a simple statement; a guess is enough."""
    return bool(text) and text[-1] not in "\\," and text[0] not in "@'\"" and "#" not in text and ";" not in text


def _goes_on(lines: Sequence[str], number: int) -> bool:
    """Tell whether the line above ends in a backslash: after a head, what is below this line is in another block."""
    return number > 0 and lines[number - 1].rstrip("\r\n").endswith("\\")


def _dumps(tree: ast.Module, first: bool, lines: Sequence[str],
           stand: Mapping[Place, Sequence[str]] = _NONE) -> list[str]:  # fmt: skip
    """Dump statements; where they are the `first` of a program, its docstring gives an empty text.

    `stand` holds, by line and column, the statements that a number stands for.
    """
    for node in _definitions(tree):
        if _documented(node):
            node.body = node.body[1:] or [ast.Pass()]
    text = _Text([line.encode() for line in lines], stand)
    dumps = [_dump(statement, text) for statement in tree.body]
    if text.met < len(stand):
        raise _Within
    return ["", *dumps[1:]] if first and _documented(tree) else dumps


def _definitions(node: ast.AST) -> Iterator[ast.FunctionDef | ast.ClassDef]:
    """Give the functions and classes below a node; none is within an expression, where most nodes are."""
    for name in _BLOCKS:
        for inner in getattr(node, name, ()):
            if isinstance(inner, (ast.FunctionDef, ast.ClassDef)):
                yield inner
            if hasattr(inner, "body") or isinstance(inner, _PARTED):
                yield from _definitions(inner)


def _dump(node: ast.stmt, text: _Text) -> str:
    """Dump a statement: what is in its blocks one by one, so that a kernel costs what is new in it."""
    blocks = [name for name in ("body", "orelse") if getattr(node, name, None)] if isinstance(node, _OPENED) else []
    if blocks:
        inner = {name: ", ".join([_dump(one, text) for one in getattr(node, name)]) for name in blocks}
        return dumped(node, {**_head(node, text), **{name: f"[{dumps}]" for name, dumps in inner.items()}})
    found = text.stand.get((node.lineno, node.col_offset)) if text.stand and hasattr(node, "lineno") else None
    if found is None:
        return _remembered(node, text.lines)
    text.met += 1
    dumps = [_known.get(one, _TEXT) for one in found]
    if any(one.startswith(_TEXT) for one in dumps):  # what seemed to be a statement above was none
        raise _Within
    return ", ".join(dumps)


def _head(node: ast.stmt, text: _Text) -> Mapping[str, str]:
    """Dump what the head of a loop or a branch holds, once for all heads of the same text in one line."""
    names = _HEADS.get(type(node), ())
    last = getattr(node, names[-1]) if names else None
    if last is None or last.end_lineno != node.lineno or node.lineno > len(text.lines):
        return {}
    short = text.stand.get((node.lineno, node.col_offset))
    if short is not None:
        text.met += 1
        if short[0][:-1] not in _known_heads:  # what seemed to be a head above was none
            raise _Within
        return _known_heads[short[0][:-1]]
    line = text.lines[node.lineno - 1][node.col_offset : last.end_col_offset].decode()
    if line not in _known_heads:
        if len(_known_heads) >= REMEMBERED:
            _known_heads.clear()
        _known_heads[line] = {name: dumped(getattr(node, name)) for name in names}
    return _known_heads[line]


def _remembered(node: ast.stmt, lines: Sequence[bytes]) -> str:
    """Dump a statement, of a simple one what was made of the same text before."""
    text = "" if hasattr(node, "body") or isinstance(node, _PARTED) else _segment(node, lines)
    found = _known.get(text)
    if found is None:
        found = dumped(node)
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
