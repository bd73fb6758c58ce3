"""Makes relatives of a kernel by rule: the same program with other names, in another order, with other tiles."""

import ast
import random
from pathlib import Path

import programs

import suites
from operators import knobs
from operators.knowledge.similarity import Shingles, shingles
from suites.native import TEN

KEPT = {"tl", "triton", "torch"}


def renamed(source: str, draws: random.Random) -> str:
    """Give every name that the program itself binds another one, and drop comments and formatting."""
    tree = ast.parse(source)
    bound = {n.arg for n in ast.walk(tree) if isinstance(n, ast.arg)}
    bound |= {n.id for n in ast.walk(tree) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
    bound |= {n.name for n in ast.walk(tree) if isinstance(n, (ast.FunctionDef, ast.ClassDef))}
    new = {name: f"{draws.choice('abcdefgh')}{draws.randrange(10**6)}" for name in sorted(bound - KEPT)}
    for node in ast.walk(tree):
        for part in ("id", "arg", "name"):
            value = getattr(node, part, None)
            if isinstance(value, str) and value in new:
                setattr(node, part, new[value])
    return ast.unparse(tree)


class _Reorder(ast.NodeTransformer):
    """Swaps operands of + and *, keyword arguments, neighbouring statements that share no name, and functions."""

    def __init__(self, draws: random.Random) -> None:
        self.draws = draws

    def visit_BinOp(self, node: ast.BinOp) -> ast.AST:
        self.generic_visit(node)
        if isinstance(node.op, (ast.Add, ast.Mult, ast.BitAnd)) and self.draws.random() < 0.5:
            node.left, node.right = node.right, node.left
        return node

    def visit_Call(self, node: ast.Call) -> ast.AST:
        self.generic_visit(node)
        self.draws.shuffle(node.keywords)
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        self.generic_visit(node)
        body = node.body
        for i in range(len(body) - 1):
            if _names(body[i]).isdisjoint(_names(body[i + 1])) and self.draws.random() < 0.7:
                body[i], body[i + 1] = body[i + 1], body[i]
        return node


def reordered(source: str, draws: random.Random) -> str:
    """Write the program in another order."""
    tree = _Reorder(draws).visit(ast.parse(source))
    functions = [n for n in tree.body if isinstance(n, ast.FunctionDef)]
    draws.shuffle(functions)
    tree.body = [n for n in tree.body if not isinstance(n, ast.FunctionDef)] + functions
    return ast.unparse(ast.fix_missing_locations(tree))


class _Part(ast.NodeTransformer):
    """Gives each program two tiles: an offset `p * B + tl.arange(0, B)` moves into a loop over parts of the block."""

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        at = next((i for i, s in enumerate(node.body) if "tl.arange" in ast.unparse(s)), None)
        if at is None or any(isinstance(s, ast.Return) for s in node.body):
            return node
        loop = ast.parse("for part in range(0, 2):\n    pass").body[0]
        loop.body = [_Shift().visit(s) for s in node.body[at:]]
        node.body = [*node.body[:at], loop]
        return node


class _Shift(ast.NodeTransformer):
    def visit_Call(self, node: ast.Call) -> ast.AST:
        if ast.unparse(node.func) != "tl.arange":
            return self.generic_visit(node)
        return ast.parse(f"(part * {ast.unparse(node.args[1])} + {ast.unparse(node)})", mode="eval").body


def retiled(source: str, draws: random.Random) -> str:
    """Set every knob to another legal value, and split each program's block into a loop over two."""
    found = knobs.find(source, "hip")
    changes = {k.name: draws.choice([v for v in k.legal if v != k.value]) for k in found}
    source = knobs.rewrite(source, changes)
    return ast.unparse(ast.fix_missing_locations(_Part().visit(ast.parse(source))))


def _names(node: ast.AST) -> set[str]:
    return {n.id for n in ast.walk(node) if isinstance(n, ast.Name)} - KEPT


WAYS = {"renamed": renamed, "reordered": reordered, "retiled": retiled}
LABELLED = (*WAYS, "all three")


def relative(source: str, way: str, draws: random.Random) -> str:
    """Make the relative of a labelled pair."""
    for each in WAYS.values() if way == "all three" else [WAYS[way]]:
        source = each(source, draws)
    return source


def kernels() -> dict[str, str]:
    """Return every honest kernel of the tests and every seed: many are of one task, so that relatives are hard to tell."""
    found = {f"honest/{p.path.stem}": p.source for p in programs.programs("honest")}
    own = sorted((Path(__file__).parent / "tasks").glob("*.py"))
    for name in (*TEN, *map(str, own)):
        for seed in suites.load(name).seeds:
            found[f"{Path(name).stem}/{seed.name}"] = seed.source
    return found


def crowd(sources: list[str], count: int) -> list[Shingles]:
    """Make many kernels of some: a third of each one's shingles gone, as many of the others' put in."""
    draws, bags, many = random.Random(3), [shingles(s) for s in sources], []
    pool = sorted({i for bag in bags for i in bag})
    for number in range(count):
        bag = dict(bags[number % len(bags)])
        for gone in draws.sample(sorted(bag), len(bag) // 3):
            del bag[gone]
        bag.update((i, 1) for i in draws.sample(pool, len(bags[0]) // 4))
        many.append(bag)
    return many
