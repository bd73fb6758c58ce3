"""Expressions of a kernel in terms of its launch, so that those of two kernels can be laid beside each other."""

import ast
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

import libcst as cst

from operators.launches import Kernel
from operators.rewrites.effects import has_effects, reads_memory
from operators.rewrites.floats import STATEMENTS, own_names
from operators.rewrites.printing import code
from operators.rewrites.program import Program
from operators.rewrites.unparsing import unparsed
from operators.walking import descend, of_kind
from suites.parsing import parse

LONGEST = 4000  # characters, or nodes; names that stand for sums of others may double with every step
Sized = tuple[ast.expr, int]  # a tree, and how many nodes it has
DEEPEST = 20  # names that stand for one another
# words without parts; half of a tree is such
_WORDS = frozenset([kind for words in (ast.expr_context, ast.operator) for kind in words.__subclasses__()])


class Untold(Exception):
    """A name has more than one value, or one that memory or another function gave it."""


class Terms:
    """Writes expressions out: a name as its value, a parameter as what it is passed, a loop's variable as its range."""

    def __init__(self, program: Program, kernel: Kernel, given: Mapping[str, str]) -> None:
        self.program = program
        self.given = {name: code(default) for name, default in kernel.constexprs.items() if default is not None}
        self.given.update(given)
        self.values: dict[str, list[cst.CSTNode]] = {}
        for node in of_kind(program.function(kernel).body, *STATEMENTS):
            for name in own_names(node):
                self.values.setdefault(name, []).append(node)
        self.known: dict[str, Sized] = {}

    def of(self, node: cst.BaseExpression) -> str:
        """Return an expression's text."""
        text = unparsed(self._written(node, ())[0])
        if len(text) > LONGEST:
            raise Untold
        return text

    def parts(self, node: cst.BaseExpression) -> set[str]:
        """Return the texts of what has to hold for a mask to be true."""
        return {unparsed(part) for part in _conjoined(self._written(node, ())[0])}

    def conditions(self, node: cst.CSTNode) -> Iterator[str]:
        """Give the conditions of the branches that a node is in."""
        for outer in self.program.tree.around(node):
            if type(outer) is cst.While:
                raise Untold
            if type(outer) is cst.If:
                yield f"{node in {*descend(outer.body)}} {self.of(outer.test)}"

    def named(self, name: str, above: tuple[str, ...]) -> Sized | None:
        """Return what a name stands for, None where that is itself."""
        if name in self.known:
            return self.known[name]
        found = self.values.get(name, [])
        if name in above or len(above) > DEEPEST or (found and name in self.given):
            raise Untold
        every = [self._given(node, (*above, name)) for node in found]
        if len(every) > 1 and len({unparsed(tree) for tree, _ in every}) > 1:
            raise Untold
        every += [_read(self.given[name])] if name in self.given else []
        if every:
            self.known[name] = every[0]
        return self.known.get(name)

    def _written(self, node: cst.BaseExpression, above: tuple[str, ...]) -> Sized:
        if has_effects(self.program, node) or reads_memory(node):
            raise Untold
        written = self._filled(_read(code(node))[0], above)
        if written[1] > LONGEST:
            raise Untold
        return written

    def _filled(self, node: Any, above: tuple[str, ...]) -> tuple[Any, int]:
        """Return a tree with its names written out, and how many nodes that has; the tree itself stays as it is."""
        if type(node) is ast.Name:
            return self.named(node.id, above) or (node, 2)
        size, changed = 1, dict[str, Any]()
        for name in node._fields:
            value = getattr(node, name, None)
            if type(value) in _WORDS:
                size += 1
            elif type(value) is list:
                filled = [self._filled(one, above) if isinstance(one, ast.AST) else (one, 0) for one in value]
                size += sum([more for _, more in filled])
                if any(new is not old for (new, _), old in zip(filled, value, strict=True)):
                    changed[name] = [new for new, _ in filled]
            elif isinstance(value, ast.AST):
                new, more = self._filled(value, above)
                size += more
                if new is not value:
                    changed[name] = new
        return type(node)(**{**vars(node), **changed}) if changed else node, size

    def _given(self, node: cst.CSTNode, above: tuple[str, ...]) -> Sized:
        if type(node) is cst.For and type(node.iter) is cst.Call:
            name = ast.Name(f"turn_{len(self.program.within(node))}", ast.Load())
            over = [self._written(a.value, above) for a in node.iter.args if a.keyword is None and not a.star]
            return ast.Call(name, [tree for tree, _ in over], []), 3 + sum(size for _, size in over)
        if type(node) is cst.Assign and all(type(t.target) is cst.Name for t in node.targets):
            return self._written(node.value, above)
        raise Untold


def _conjoined(node: ast.expr) -> Iterator[ast.expr]:
    """Give the parts of `a & b & c`."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitAnd):
        yield from _conjoined(node.left)
        yield from _conjoined(node.right)
    else:
        yield node


# Kernels beside each other have many of the same lines.
@lru_cache(maxsize=2048)
def _read(text: str) -> Sized:
    """Return the tree of an expression, which nobody changes, and how many nodes it has."""
    (statement,) = parse(f"({text})").body
    if not isinstance(statement, ast.Expr):
        raise Untold
    return statement.value, sum(1 for _ in ast.walk(statement.value))
