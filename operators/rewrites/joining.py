"""Two programs in one file: what both define in the same words stands there once, the rest of the second is renamed."""

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import count

from suites.parsing import parse

LONGEST = 200_000  # characters of a program that more may be joined to

Definition = ast.FunctionDef | ast.ClassDef | ast.Assign | ast.AnnAssign


class CannotJoin(ValueError):
    """Why two programs cannot stand in one file."""


@dataclass(frozen=True)
class Module:
    """A program by its statements."""

    text: str
    tree: ast.Module

    @classmethod
    def read(cls, text: str) -> "Module":
        """Parse a program."""
        if len(text) > LONGEST:
            raise CannotJoin(f"a program has more than {LONGEST:,} characters")
        try:
            return cls(text, parse(text))
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            raise CannotJoin(f"a program cannot be read: {error}") from error

    @cached_property
    def lines(self) -> list[bytes]:
        """The text's lines as bytes, which Python's parser counts columns in."""
        return self.text.encode().splitlines(keepends=True)

    @cached_property
    def definitions(self) -> dict[str, Definition]:
        """What stands at the top, by name."""
        return {name: node for node in self.tree.body if isinstance(node, Definition) for name in _defined(node)}

    @cached_property
    def words(self) -> frozenset[str]:
        """Every name that occurs in any way."""
        found = {n.arg for n in ast.walk(self.tree) if isinstance(n, (ast.arg, ast.keyword)) and n.arg}
        found |= {n.id for n in ast.walk(self.tree) if isinstance(n, ast.Name)}
        return frozenset(found | self.definitions.keys())

    def entry(self, name: str) -> ast.FunctionDef:
        """Return the launcher."""
        node = self.definitions.get(name)
        if not isinstance(node, ast.FunctionDef):
            raise CannotJoin(f"a program does not define {name} by def")
        given = node.args
        if given.vararg or given.kwarg or given.kwonlyargs:
            raise CannotJoin(f"{name} takes more than plain parameters")
        return node

    def plain(self, name: str) -> str:
        """Return a definition's words, without its comments and formatting."""
        return ast.unparse(self.definitions[name])

    def uses(self, name: str) -> set[str]:
        """Return which definitions of this program a definition names."""
        found = {n.id for n in ast.walk(self.definitions[name]) if isinstance(n, ast.Name)}
        return found & self.definitions.keys() - {name}

    def piece(self, node: ast.stmt, names: Mapping[str, str]) -> str:
        """Return a statement's text with the comments above it, and names replaced."""
        before = [other.end_lineno or 0 for other in self.tree.body if other.lineno < node.lineno]
        return self._written(max(before, default=0), node.end_lineno or node.lineno, names)

    def renamed(self, names: Mapping[str, str]) -> str:
        """Return the whole text with names replaced."""
        return self._written(0, len(self.lines), names)

    def _written(self, first: int, last: int, names: Mapping[str, str]) -> str:
        lines = self.lines[first:last]
        # from the end, so that what stands before keeps its columns
        for row, column, old in sorted(self._places(names), reverse=True):
            if first < row <= last:
                line = lines[row - 1 - first]
                end = column + len(old.encode())
                lines[row - 1 - first] = line[:column] + names[old].encode() + line[end:]
        return b"".join(lines).decode()

    def _places(self, names: Mapping[str, str]) -> Iterator[tuple[int, int, str]]:
        """Give where names stand: row from 1 on, column in bytes."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Name) and node.id in names:
                yield node.lineno, node.col_offset, node.id
            elif isinstance(node, (ast.FunctionDef, ast.ClassDef)) and node.name in names:
                line = self.lines[node.lineno - 1]
                yield node.lineno, line.index(node.name.encode(), node.col_offset + len(b"def ")), node.name


@dataclass(frozen=True, slots=True)
class Joined:
    """A file that holds two programs, and what their launchers are called there."""

    text: str
    first: str
    second: str


def join(first: str, second: str, entry: str) -> Joined:
    """Put two programs into one file; neither launcher has the name `entry` there, which is the caller's to define."""
    one, two = Module.read(first), Module.read(second)
    for module in (one, two):
        module.entry(entry)
    taken = set(one.words | two.words)
    own = {entry: _fresh(entry, taken)}
    shared = _shared(one, two, entry)
    names = {name: _fresh(name, taken) for name in two.definitions if name not in shared}
    for module, changed in ((one, own), (two, names)):
        hidden = sorted({n.arg for n in ast.walk(module.tree) if isinstance(n, ast.arg)} & changed.keys())
        if hidden:
            raise CannotJoin(f"a parameter hides {hidden[0]}, which would get another name")
    body = [node for node in two.tree.body if isinstance(node, Definition) and names.keys() & set(_defined(node))]
    _refuse_others(one, two)
    text = _with_imports(one, two, own).rstrip() + "\n"
    pieces = [two.piece(node, names).strip("\r\n") for node in body]
    return Joined("\n\n".join([text, *pieces]) + "\n", own[entry], names[entry])


def _shared(one: Module, two: Module, entry: str) -> set[str]:
    """Return what both define in the same words, that of it which rests on nothing else."""
    names = (one.definitions.keys() & two.definitions.keys()) - {entry}
    same = {name for name in names if one.plain(name) == two.plain(name)}
    while True:
        resting = {name for name in same if two.uses(name) <= same}
        if resting == same:
            return same
        same = resting


def _refuse_others(one: Module, two: Module) -> None:
    """Refuse statements of the second that do more than define or import, unless the first has them."""
    known = {ast.unparse(node) for node in one.tree.body}
    for node in two.tree.body:
        words = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        plain = words or isinstance(node, (Definition, ast.Import, ast.ImportFrom))
        if not plain and ast.unparse(node) not in known:
            raise CannotJoin(f"line {node.lineno} of a program neither defines nor imports")


def _with_imports(one: Module, two: Module, own: Mapping[str, str]) -> str:
    """Return the first program's text with the second's imports behind its own."""
    has = {ast.unparse(n) for n in one.tree.body if isinstance(n, (ast.Import, ast.ImportFrom))}
    wanted = [ast.unparse(n) for n in two.tree.body if isinstance(n, (ast.Import, ast.ImportFrom))]
    lacking = [line for line in dict.fromkeys(wanted) if line not in has]
    text = one.renamed(own)
    if not lacking:
        return text
    last = max((n.end_lineno or 0 for n in one.tree.body if isinstance(n, (ast.Import, ast.ImportFrom))), default=0)
    lines = text.splitlines(keepends=True)
    return "".join([*lines[:last], *(f"{line}\n" for line in lacking), *lines[last:]])


def _defined(node: ast.stmt) -> list[str]:
    """Return the names that a statement at the top defines."""
    if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
        return [node.name]
    targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
    return [t.id for t in targets if isinstance(t, ast.Name)]


def _fresh(name: str, taken: set[str]) -> str:
    """Return a name that nobody has, and take it."""
    stem = name.rstrip("0123456789").rstrip("_") or name
    found = next(made for number in count(2) if (made := f"{stem}_{number}") not in taken)
    taken.add(found)
    return found
