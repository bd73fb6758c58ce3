"""A program's syntax tree with what a search for its numbers asks of it: parents, scopes and bindings."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import cache, lru_cache
from operator import attrgetter
from typing import Any, TypeVar

import libcst as cst

from operators.outline import Lines, outlined
from operators.remembering import remembered
from operators.walking import Below, Order, remember, steps
from suites import parsing

Node = TypeVar("Node", bound=cst.CSTNode)
Step = tuple[str, int | None]
Path = tuple[Step, ...]
Edit = Callable[[Any], Any]  # a node in, the node that takes its place out

_TARGETS = {
    (cst.AssignTarget, "target"), (cst.AnnAssign, "target"), (cst.AugAssign, "target"), (cst.Del, "target"),
    (cst.NamedExpr, "target"), (cst.For, "target"), (cst.CompFor, "target"), (cst.AsName, "name"),
    (cst.Param, "name"), (cst.ImportAlias, "name"), (cst.NameItem, "name"), (cst.FunctionDef, "name"),
    (cst.ClassDef, "name"), (cst.MatchAs, "name"), (cst.MatchStar, "name"), (cst.MatchMapping, "rest"),
}  # fmt: skip
_EQUAL = cst.AssignEqual(cst.SimpleWhitespace(""), cst.SimpleWhitespace(""))
_COMMA = cst.Comma(whitespace_after=cst.SimpleWhitespace(" "))
_UNPACKED = (cst.Tuple, cst.List, cst.Element, cst.StarredElement)


class Unreadable(Exception):
    """A program has no tree that gives its very text back; the message says why."""


@dataclass(eq=False, slots=True)
class Scope:
    """A module, function or lambda: what it binds, calls and reads. A name bound twice has two bindings."""

    outer: "Scope | None"
    bindings: dict[str, list[cst.CSTNode | None]] = field(default_factory=dict)
    calls: list[cst.Call] = field(default_factory=list)
    reads: list[cst.Name] = field(default_factory=list)
    loops: bool = False

    def home(self, name: str) -> "Scope | None":
        """Return the scope that binds a name read here."""
        scope: Scope | None = self
        while scope is not None and name not in scope.bindings:
            scope = scope.outer
        return scope

    def chain(self) -> Iterator["Scope"]:
        """Give this scope and those around it, the module last."""
        scope: Scope | None = self
        while scope is not None:
            yield scope
            scope = scope.outer

    def bound(self, name: str) -> tuple[cst.CSTNode | None, ...]:
        """Return every value bound to a name read here; None stands for one that is no plain expression."""
        home = self.home(name)
        return tuple(home.bindings[name]) if home else ()


@remembered
def names_in(scope: Scope) -> frozenset[str]:
    """Return the names that a scope binds or reads."""
    return frozenset((*scope.bindings, *(read.value for read in scope.reads)))


class Tree:
    """A parsed program. Class bodies count as part of the scope around them."""

    def __init__(self, module: cst.Module, outline: tuple[Lines, ...] = ()) -> None:
        self.module = module
        self.outline = outline
        self.suites = False  # whether any statement shares a line with the head that it is below
        self.top = Scope(None)
        self.functions: list[tuple[cst.FunctionDef, Scope]] = []
        self.calls: list[tuple[cst.Call, Scope]] = []
        self.loops: list[tuple[cst.For, Scope]] = []
        self.operations: list[tuple[cst.BinaryOperation, Scope]] = []
        self.reads: dict[tuple[Scope, str], list[tuple[cst.Name, Scope]]] = {}
        self._parents: dict[cst.CSTNode, tuple[cst.CSTNode, str, int | None]] = {}
        self._scopes = [self.top]
        order: Order = []
        below: Below = {}
        self._visit(module, self.top, False, order, below)
        remember(order, below)
        self._resolve()

    def parent(self, node: cst.CSTNode) -> tuple[cst.CSTNode, str]:
        """Return the node around another one and the field that holds it; the module holds itself."""
        above, name, _ = self._parents.get(node, (self.module, "", None))
        return above, name

    def index(self, node: cst.CSTNode) -> int:
        """Return the number of a node among those that its field holds; 0 where it holds no more."""
        return self._parents[node][2] or 0

    def above(self, node: cst.CSTNode) -> Iterator[tuple[cst.CSTNode, cst.CSTNode, str]]:
        """Climb from a node to its statement: each time the child, its parent and the field between them."""
        while not isinstance(node, (cst.BaseStatement, cst.BaseSmallStatement, cst.Module)):
            parent, name = self.parent(node)
            yield node, parent, name
            node = parent

    def around(self, node: cst.CSTNode) -> Iterator[cst.CSTNode]:
        """Give the nodes around one, the innermost first, up to the function that it is in."""
        above = self._parents.get(node)
        while above is not None and type(above[0]) not in (cst.FunctionDef, cst.Lambda):
            yield above[0]
            above = self._parents.get(above[0])

    def path(self, node: cst.CSTNode) -> Path:
        """Return the steps from the module down to a node."""
        steps: list[Step] = []
        while node in self._parents:
            node, name, index = self._parents[node]
            steps.append((name, index))
        return tuple(reversed(steps))

    def at(self, path: Path) -> Any:
        """Return the node that steps from the module lead to."""
        node: Any = self.module
        for name, index in path:
            node = getattr(node, name) if index is None else getattr(node, name)[index]
        return node

    def _visit(self, node: cst.CSTNode, scope: Scope, stored: bool, order: Order, below: Below) -> None:
        kind, begin = type(node), len(order)
        order.append(node)
        if isinstance(node, cst.Name):
            self._name(node, scope, stored)
            return
        inner = scope
        if kind is cst.Call:
            scope.calls.append(node)  # type: ignore[arg-type]
            self.calls.append((node, scope))  # type: ignore[arg-type]
        elif kind is cst.FunctionDef or kind is cst.Lambda:
            inner = Scope(scope)
            self._scopes.append(inner)
            if isinstance(node, cst.FunctionDef):
                self.functions.append((node, inner))
        elif kind is cst.For or kind is cst.While:
            scope.loops = True
            if isinstance(node, cst.For):
                self.loops.append((node, scope))
        elif kind is cst.BinaryOperation:
            self.operations.append((node, scope))  # type: ignore[arg-type]
        elif kind is cst.SimpleStatementSuite:
            self.suites = True
        stored = stored and isinstance(node, _UNPACKED)
        for name, index, child in steps(node):
            self._parents[child] = (node, name, index)
            self._visit(child, _place(kind, name, scope, inner), stored or (kind, name) in _TARGETS, order, below)
        below[node] = begin, len(order)

    def _name(self, node: cst.Name, scope: Scope, stored: bool) -> None:
        if not stored:
            scope.reads.append(node)
            return
        scope.bindings.setdefault(node.value, []).append(self._assigned(node))
        while isinstance(self.parent(node)[0], cst.NameItem) and scope.outer is not None:
            # global or nonlocal: assigned here, read elsewhere, so in no scope on the way a constant
            scope = scope.outer
            scope.bindings.setdefault(node.value, []).append(None)

    def _assigned(self, name: cst.Name) -> cst.CSTNode | None:
        parent, _ = self.parent(name)
        if isinstance(parent, cst.AssignTarget):
            statement, _ = self.parent(parent)
            single = isinstance(statement, cst.Assign) and len(statement.targets) == 1
            return statement.value if single and isinstance(statement, cst.Assign) else None
        if isinstance(parent, cst.Element):
            return self._unpacked(parent)
        if isinstance(parent, cst.AnnAssign):
            return parent.value
        if isinstance(parent, cst.Param):
            return parent.default
        return parent if isinstance(parent, cst.FunctionDef) else None

    def _unpacked(self, element: cst.Element) -> cst.CSTNode | None:
        """Return what one name of `a, b = x, y` is given."""
        targets, _ = self.parent(element)
        target, _ = self.parent(targets)
        statement, _ = self.parent(target)
        if not (isinstance(target, cst.AssignTarget) and isinstance(statement, cst.Assign)):
            return None
        values = statement.value
        if not (isinstance(targets, cst.Tuple) and isinstance(values, cst.Tuple) and len(statement.targets) == 1):
            return None
        plain = all(isinstance(e, cst.Element) for e in (*targets.elements, *values.elements))
        if not plain or len(targets.elements) != len(values.elements):
            return None
        return values.elements[list(targets.elements).index(element)].value

    def _resolve(self) -> None:
        for scope in self._scopes:
            for name in scope.reads:
                home = scope.home(name.value)
                if home is not None:
                    self.reads.setdefault((home, name.value), []).append((name, scope))


# One program's tree takes about a megabyte; a proposal asks for its parents and its own.
@lru_cache(maxsize=32)
def parse(source: str) -> Tree:
    """Parse a program; raise Unreadable where that cannot be done without loss."""
    try:
        # First Python's own parser: where it refuses 20,000 open brackets, libcst's overflows the stack and takes
        # the process along. ValueError is its word for lone surrogates and null characters.
        outline = outlined(parsing.parse(source).body)
        module = cst.parse_module(source)
        lossless = module.code == source
        tree = Tree(module, outline)
    except (SyntaxError, ValueError, cst.ParserSyntaxError, RecursionError, MemoryError) as error:
        raise Unreadable(f"{type(error).__name__}: {error}") from error
    if not lossless:  # libcst drops form feeds and byte order marks
        raise Unreadable("its text does not survive a round trip through libcst")
    return tree


def edited(node: Any, edits: Sequence[tuple[Path, Edit]]) -> Any:
    """Apply edits below a node, the deeper ones first, and copy only what lies above them.

    An edit of a statement may give cst.RemoveFromParent(); edits of its block still count it.
    """
    below: dict[Step, list[tuple[Path, Edit]]] = {}
    for path, edit in edits:
        if path:
            below.setdefault(path[0], []).append((path[1:], edit))
    changed: dict[str, Any] = {}
    shrunk: set[str] = set()
    for (name, index), deeper in below.items():
        if index is None:
            changed[name] = edited(changed.get(name, getattr(node, name)), deeper)
            continue
        items = changed.setdefault(name, list(getattr(node, name)))
        items[index] = edited(items[index], deeper)
        if items[index] is cst.RemovalSentinel.REMOVE:
            shrunk.add(name)
    node = copied(node, changed) if changed else node
    for path, edit in edits:
        node = node if path else edit(node)
    for name in shrunk:
        kept = [item for item in getattr(node, name, ()) if item is not cst.RemovalSentinel.REMOVE]
        node = node.with_changes(**{name: kept})
    return node


def copied(node: Node, changed: Mapping[str, Any]) -> Node:
    """Return a node with other children: `with_changes` looks at all of them, and takes ten times as long.

    What a rewrite makes is parsed before anybody runs it.
    """
    read, write = _fields(type(node))
    new = object.__new__(type(node))
    for put, value in zip(write.values(), read(node), strict=True):
        put(new, value)
    for name, value in changed.items():
        write[name](new, value)
    return new


@cache
def _fields(kind: type[cst.CSTNode]) -> tuple[Callable[[Any], tuple[Any, ...]], dict[str, Callable[[Any, Any], None]]]:
    """Return what reads all fields of a kind of node at once, and what writes each: nodes refuse `setattr`."""
    names = [f.name for f in fields(kind)]
    read = attrgetter(*names) if len(names) > 1 else lambda node: tuple([getattr(node, name) for name in names])
    return read, {name: getattr(kind, name).__set__ for name in names}


def passing(call: cst.Call, name: str, value: cst.BaseExpression) -> cst.Call:
    """Append a keyword argument to a call, before a trailing comma if there is one."""
    new = cst.Arg(value, keyword=cst.Name(name), equal=_EQUAL)
    if not call.args:
        return call.with_changes(args=(new,))
    last = call.args[-1]
    new = new.with_changes(comma=last.comma, whitespace_after_arg=last.whitespace_after_arg)
    last = last.with_changes(comma=_COMMA, whitespace_after_arg=cst.SimpleWhitespace(""))
    return call.with_changes(args=(*call.args[:-1], last, new))


def last_name(node: cst.CSTNode) -> str:
    """Return the last part of a dotted name, or nothing for another expression."""
    if type(node) is cst.Attribute:
        return node.attr.value
    return node.value if type(node) is cst.Name else ""


def _place(kind: type[cst.CSTNode], name: str, scope: Scope, inner: Scope) -> Scope:
    if kind is cst.Param and name != "name" and scope.outer is not None:
        return scope.outer  # defaults and annotations are evaluated where the function is defined
    outside = kind is cst.FunctionDef and name not in ("params", "body")
    return scope if outside else inner
