"""Expressions are written as Python's own module writes them, whatever is put in the place of a name."""

import ast
import random

import pytest

from operators.rewrites.unparsing import unparsed
from suites import load, names

SIGNS = (ast.Add, ast.Sub, ast.Mult, ast.FloorDiv, ast.Mod, ast.BitAnd, ast.BitOr, ast.BitXor, ast.LShift, ast.Pow)
TESTS = (ast.Lt, ast.GtE, ast.NotEq, ast.In, ast.IsNot)
PARTS = ["a", "tl.f(b, c=d)", "1", "1.5", "x[:, None]", "-y", "f(*z, **w)", "not p", "(q, r)", "a.b.c", "True", "'s'"]


def test_every_expression_of_every_seed_is_written_alike() -> None:
    for source in (seed.source for name in names() for seed in load(name).seeds):
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.expr) and not isinstance(node, ast.Slice):
                assert unparsed(node) == ast.unparse(node)


@pytest.mark.parametrize("seed", range(8))
def test_trees_put_together_are_written_alike(seed: int) -> None:
    draw = random.Random(seed)
    for _ in range(200):
        node = _tree(draw, 4)
        assert unparsed(node) == ast.unparse(node)


def _tree(draw: random.Random, deep: int) -> ast.expr:
    kind = draw.randrange(4) if deep else 0
    if kind == 0:
        return ast.parse(draw.choice(PARTS[: draw.choice([3, len(PARTS)])]), mode="eval").body
    if kind == 1:
        return ast.Compare(_tree(draw, deep - 1), [draw.choice(TESTS)()], [_tree(draw, deep - 1)])
    if kind == 2:
        return ast.Call(ast.Name("g", ast.Load()), [_tree(draw, deep - 1)], [ast.keyword("k", _tree(draw, deep - 1))])
    return ast.BinOp(_tree(draw, deep - 1), draw.choice(SIGNS)(), _tree(draw, deep - 1))
