"""How alike two kernels are by their code, whatever their names, numbers, comments and order of statements.

A program becomes a bag of shingles: every expression and every statement head of its syntax tree, with names written
`v` and numbers `n`; names of Triton's and PyTorch's functions and of keyword arguments stay, for they say what is done.
Operands of + and * and keyword arguments are sorted, and a shingle does not know where it stood, so moving code changes
few of them. Likeness is the cosine of the bags, each shingle weighted by how rare it is on the shelf.
"""

import ast
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from zlib import crc32

import numpy as np

from suites.parsing import parse

DEEPEST = 4  # levels of a tree in one shingle: more would make one changed leaf change every shingle above it
_SORTED = (ast.Add, ast.Mult, ast.BitAnd, ast.BitOr)

Shingles = Mapping[int, int]  # hash -> count


@lru_cache(maxsize=2048)  # every prompt compares with all failures that are remembered
def shingles(source: str) -> Shingles:
    """Return the bag of a program; one that cannot be parsed has an empty bag."""
    try:
        tree = parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return {}
    found: Counter[int] = Counter()
    known = _imported(tree)
    for node in ast.walk(tree):
        if isinstance(node, (ast.expr, ast.stmt)) and not isinstance(
            node, (ast.Name, ast.Constant, ast.Import, ast.ImportFrom)
        ):
            for depth in range(2, DEEPEST + 1):
                found[crc32(f"{depth}{_written(node, depth, known)}".encode())] += 1
    return found


@dataclass(frozen=True, slots=True)
class Likeness:
    """One kernel of a shelf and how like the asked one it is: 1 is the same but for names and numbers."""

    place: int
    share: float


class Shelf:
    """Bags of many programs, arranged so that the nearest of ten thousand are found in milliseconds."""

    def __init__(self, bags: Sequence[Shingles]) -> None:
        ids = np.fromiter((i for bag in bags for i in bag), np.uint32)
        places = np.repeat(np.arange(len(bags)), [len(bag) for bag in bags])
        counts = np.fromiter((n for bag in bags for n in bag.values()), np.float64)
        order = np.argsort(ids, kind="stable")
        self._ids, starts, owners = np.unique(ids[order], return_index=True, return_counts=True)
        self._starts = np.append(starts, len(ids))
        self._rare = np.log((1 + len(bags)) / owners)  # a shingle that every program has still counts a little
        weights = (1 + np.log(counts))[order] * np.repeat(self._rare, owners)
        self._places, self._size = places[order], len(bags)
        norms = np.sqrt(np.bincount(self._places, weights**2, minlength=len(bags)))
        self._weights = weights / np.maximum(norms[self._places], 1e-12)

    def __len__(self) -> int:
        return self._size

    def nearest(self, bag: Shingles, count: int, allowed: Callable[[int], bool] = lambda place: True) -> list[Likeness]:
        """Return the most alike programs that are allowed, the best first; ties go to the earlier one."""
        if not bag or not self._size:
            return []
        ids = np.fromiter(bag, np.uint32)
        weights = 1 + np.log(np.fromiter(bag.values(), np.float64))
        at = np.minimum(np.searchsorted(self._ids, ids), len(self._ids) - 1)
        known = self._ids[at] == ids
        # what no program of the shelf has still makes the asked one longer, and so less like any of them
        weights *= np.where(known, self._rare[at], np.log(1.0 + self._size))
        scores = np.zeros(self._size)
        for index, weight in zip(at[known], weights[known], strict=True):
            part = slice(self._starts[index], self._starts[index + 1])
            scores[self._places[part]] += weight * self._weights[part]  # a program stands here once per shingle
        scores /= np.sqrt(np.sum(weights**2))
        best: list[Likeness] = []
        for place in np.argsort(-scores, kind="stable"):
            if len(best) == count or scores[place] <= 0:
                break
            if allowed(int(place)):
                best.append(Likeness(int(place), float(scores[place])))
        return best


def _imported(tree: ast.Module) -> frozenset[str]:
    """Return the names under which a program knows modules: these are not the author's to choose freely."""
    return frozenset(
        (a.asname or a.name).split(".")[0]
        for node in ast.walk(tree) if isinstance(node, (ast.Import, ast.ImportFrom)) for a in node.names
    )  # fmt: skip


def _written(node: ast.AST, depth: int, known: frozenset[str]) -> str:
    """Write a tree down to a depth, without names and numbers, in an order that is the same for equal meanings."""
    if isinstance(node, ast.Constant):
        return (
            "n" if isinstance(node.value, (int, float)) and not isinstance(node.value, bool) else repr(node.value)[:12]
        )
    if isinstance(node, ast.Name):
        return "v"
    if isinstance(node, ast.Attribute):
        module = isinstance(node.value, ast.Name) and node.value.id in known
        return f".{node.attr}" if module else f"{_written(node.value, depth - 1, known)}.{node.attr}"
    if depth == 0:
        return type(node).__name__
    if isinstance(node, ast.keyword):
        return f"{_option(node.arg)}={_written(node.value, depth - 1, known)}"
    parts = [_written(child, depth - 1, known) for child in _parts(node)]
    if isinstance(node, ast.Call):
        parts[1 + len(node.args) :] = sorted(parts[1 + len(node.args) :])
    elif isinstance(node, ast.BinOp) and isinstance(node.op, _SORTED):
        parts = sorted(parts)
    operator = getattr(node, "op", None)
    return f"{type(operator or node).__name__}({' '.join(parts)})"


def _option(name: str | None) -> str:
    """Keep names that Triton gave; capital ones are the author's constants."""
    return "v" if name is None or name.upper() == name else name


def _parts(node: ast.AST) -> Iterator[ast.AST]:
    """Give what belongs to a node itself: of a compound statement its head, not its body."""
    for name, value in ast.iter_fields(node):
        if name in ("body", "orelse", "finalbody", "handlers", "ctx", "op", "returns", "annotation", "decorator_list"):
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST) and not isinstance(child, ast.cmpop):
                yield child
