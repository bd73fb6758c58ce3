"""Goes through a syntax tree: what is below a node, in the order of the text."""

from bisect import bisect_left
from collections.abc import Collection, Iterator
from dataclasses import dataclass, fields
from functools import cache
from typing import Any

import libcst as cst

from operators.remembering import forget, remembered

Step = tuple[str, int | None]
Order = list[cst.CSTNode]
Below = dict[cst.CSTNode, tuple[int, int]]  # where a node and all below it are in an order

REMEMBERED = 200_000  # nodes, of some fifty programs of 300 lines
# Tokens and space hold no numbers, and most of libcst's nodes are just that.
_TOKENS = {
    "comma", "lpar", "rpar", "lbracket", "rbracket", "lbrace", "rbrace", "equal", "operator", "semicolon",
    "dot", "first_colon", "second_colon", "leading_lines", "lines_after_decorators", "header", "footer", "newline",
    "keyword", "attr", "trailing_whitespace",
}  # fmt: skip
# what holds statements: each is gone through on its own, and only once
_HOLDING = (cst.BaseCompoundStatement, cst.BaseSuite, cst.SimpleStatementLine, cst.Else, cst.ExceptHandler, cst.Finally)
_LINES = {cst.SimpleStatementLine, cst.SimpleStatementSuite}
_LEAVES = {cst.Name, cst.Integer, cst.Float, cst.SimpleString}
_NONE: tuple[list[int], tuple[Any, ...]] = ([], ())


@dataclass(frozen=True, slots=True)
class _Whole:
    """All nodes of a tree in the order of the text, and of each kind the places in it and the nodes there."""

    nodes: tuple[cst.CSTNode, ...]
    kinds: dict[type, tuple[list[int], tuple[Any, ...]]]


# By what `id` says: libcst's own hash is a call of Python. A tree's order keeps all its nodes, so none is mistaken.
_known: dict[int, tuple[_Whole, int, int]] = {}


def children(node: cst.CSTNode) -> Iterator[cst.CSTNode]:
    """Give the nodes right below one, tokens and space left out."""
    for _, _, child in steps(node):
        yield child


def remember(order: Order, below: Below) -> None:
    """Take note of the order of a whole tree: what is below a node of it is a part of that."""
    if len(_known) >= REMEMBERED:
        _known.clear()
        forget()
    kinds: dict[type, list[int]] = {}
    for place, node in enumerate(order):
        kinds.setdefault(type(node), []).append(place)
    nodes = {kind: (places, tuple([order[place] for place in places])) for kind, places in kinds.items()}
    whole = _Whole(tuple(order), nodes)
    _known.update({id(node): (whole, begin, end) for node, (begin, end) in below.items()})


def descend(node: cst.CSTNode) -> tuple[cst.CSTNode, ...]:
    """Return a node and everything below it, in the order of the text."""
    known = _known.get(id(node))
    if known is not None:
        whole, begin, end = known
        return whole.nodes[begin:end]
    return (node,) if type(node) in _LEAVES else _descended(node)


# Rewrites go through the same kernels again and again.
@remembered
def _descended(node: cst.CSTNode) -> tuple[cst.CSTNode, ...]:
    found = [node]
    for _, _, child in steps(node):
        if _holds(type(child)):
            found += descend(child)
            continue
        waiting = [child]
        while waiting:
            inner = waiting.pop()
            if type(inner) in _LEAVES:
                found.append(inner)
                continue
            known = _known.get(id(inner))
            if known is not None:  # what a rewrite makes is mostly what was there
                found += known[0].nodes[known[1] : known[2]]
                continue
            found.append(inner)
            waiting += [below for _, _, below in reversed(steps(inner))]
    return tuple(found)


def places_below(node: cst.CSTNode, wanted: Collection[cst.CSTNode]) -> list[int]:
    """Return the places of some nodes in what is below one: all of them are there."""
    above = _known.get(id(node))
    known = [_known.get(id(one)) for one in wanted]  # asked once: another thread may read a program now
    if above is not None and None not in known:
        return sorted([one[1] - above[1] for one in known if one is not None])
    kinds = {type(one) for one in wanted}
    return [place for place, one in enumerate(descend(node)) if type(one) in kinds and one in wanted]


def blocks(node: cst.CSTNode, above: tuple[Step, ...] = ()) -> Iterator[tuple[tuple[Step, ...], cst.IndentedBlock]]:
    """Give the blocks in a statement or a block, each with the steps down to it; no expression is gone through."""
    if isinstance(node, cst.IndentedBlock):
        yield above, node
    for name, index, child in steps(node):
        if isinstance(child, (*_HOLDING, cst.MatchCase, cst.ExceptStarHandler)) and type(child) not in _LINES:
            yield from blocks(child, (*above, (name, index)))


def size(node: cst.CSTNode) -> int:
    """Count a node and what is below it."""
    if type(node) in _LEAVES:
        return 1
    known = _known.get(id(node))
    return known[2] - known[1] if known is not None else len(_descended(node))


@cache
def _holds(kind: type[cst.CSTNode]) -> bool:
    return issubclass(kind, _HOLDING)


def of_kind(node: cst.CSTNode, *kinds: type[cst.CSTNode]) -> tuple[Any, ...]:
    """Return what is of some kinds in a node and below it, in the order of the text."""
    known = _known.get(id(node))
    if known is None or len(kinds) > 1:
        return _of_kind(node, *kinds)
    whole, begin, end = known
    places, nodes = whole.kinds.get(kinds[0], _NONE)
    first = bisect_left(places, begin)
    return nodes[first : bisect_left(places, end, first)]


@remembered
def _of_kind(node: cst.CSTNode, *kinds: type[cst.CSTNode]) -> tuple[Any, ...]:
    # lists, here and below, for a generator takes twice as long, and everybody asks this
    return tuple([found for found in descend(node) if type(found) in kinds])


@remembered
def named(node: cst.CSTNode) -> frozenset[str]:
    """Return the names in a node."""
    return frozenset([name.value for name in of_kind(node, cst.Name)])


@remembered
def steps(node: cst.CSTNode) -> tuple[tuple[str, int | None, cst.CSTNode], ...]:
    """Return the nodes right below one with the field and place that hold each, tokens and space left out."""
    return tuple(_steps(node))


def _steps(node: cst.CSTNode) -> Iterator[tuple[str, int | None, cst.CSTNode]]:
    for name in _fields(type(node)):
        value = getattr(node, name)
        if type(value) in (list, tuple):
            for index, item in enumerate(value):
                if isinstance(item, cst.CSTNode):
                    yield name, index, item
        elif type(value) is not str and isinstance(value, cst.CSTNode):
            yield name, None, value


@cache
def _fields(kind: type[cst.CSTNode]) -> tuple[str, ...]:
    names = [f.name for f in fields(kind)]
    if kind is cst.FunctionDef:
        names.sort(key=lambda name: name != "decorators")
    return tuple(name for name in names if name not in _TOKENS and not name.startswith("whitespace"))
