"""Expressions of a kernel in terms of its launch, so that those of two kernels can be laid beside each other."""

import ast
from collections.abc import Iterator, Mapping

import libcst as cst

from operators.launches import Kernel
from operators.rewrites.effects import has_effects, reads_memory
from operators.rewrites.floats import STATEMENTS, own_names
from operators.rewrites.printing import code
from operators.rewrites.program import Program
from operators.walking import descend, of_kind
from suites.parsing import parse

LONGEST = 4000  # characters, or nodes; names that stand for sums of others may double with every step
DEEPEST = 20  # names that stand for one another


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
        self.known: dict[str, ast.expr] = {}

    def of(self, node: cst.BaseExpression) -> str:
        """Return an expression's text."""
        text = ast.unparse(self._written(node, ()))
        if len(text) > LONGEST:
            raise Untold
        return text

    def parts(self, node: cst.BaseExpression) -> set[str]:
        """Return the texts of what has to hold for a mask to be true."""
        return {ast.unparse(part) for part in _conjoined(self._written(node, ()))}

    def conditions(self, node: cst.CSTNode) -> Iterator[str]:
        """Give the conditions of the branches that a node is in."""
        for outer in self.program.tree.around(node):
            if isinstance(outer, cst.While):
                raise Untold
            if isinstance(outer, cst.If):
                yield f"{node in {*descend(outer.body)}} {self.of(outer.test)}"

    def _written(self, node: cst.BaseExpression, above: tuple[str, ...]) -> ast.expr:
        if has_effects(self.program, node) or reads_memory(node):
            raise Untold
        tree = _read(code(node))
        written: ast.expr = _Replacing(self, above).visit(tree)
        if sum(1 for _ in ast.walk(written)) > LONGEST:
            raise Untold
        return written

    def named(self, name: str, above: tuple[str, ...]) -> ast.expr | None:
        """Return what a name stands for, None where that is itself."""
        if name in self.known:
            return self.known[name]
        found = self.values.get(name, [])
        if name in above or len(above) > DEEPEST or (found and name in self.given):
            raise Untold
        texts = {ast.unparse(self._given(node, (*above, name))) for node in found}
        texts |= {self.given[name]} if name in self.given else set()
        if len(texts) > 1:
            raise Untold
        if texts:
            self.known[name] = _read(texts.pop())
        return self.known.get(name)

    def _given(self, node: cst.CSTNode, above: tuple[str, ...]) -> ast.expr:
        if isinstance(node, cst.For) and isinstance(node.iter, cst.Call):
            depth = len(self.program.within(node))
            over = [self._written(a.value, above) for a in node.iter.args if a.keyword is None and not a.star]
            return ast.Call(ast.Name(f"turn_{depth}"), over, [])
        if isinstance(node, cst.Assign) and all(isinstance(t.target, cst.Name) for t in node.targets):
            return self._written(node.value, above)
        raise Untold


class _Replacing(ast.NodeTransformer):
    def __init__(self, terms: Terms, above: tuple[str, ...]) -> None:
        self.terms, self.above = terms, above

    def visit_Name(self, node: ast.Name) -> ast.expr:
        return self.terms.named(node.id, self.above) or node


def _conjoined(node: ast.expr) -> Iterator[ast.expr]:
    """Give the parts of `a & b & c`."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitAnd):
        yield from _conjoined(node.left)
        yield from _conjoined(node.right)
    else:
        yield node


def _read(text: str) -> ast.expr:
    """Return the tree of an expression."""
    (statement,) = parse(f"({text})").body
    if not isinstance(statement, ast.Expr):
        raise Untold
    return statement.value
