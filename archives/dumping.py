"""Writes syntax trees as `ast.dump` does, and faster: what that asks of every node is asked once for each kind.

Which empty fields are left out differs between versions of Python, so `ast.dump` itself is asked.
"""

import ast
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

_MISSING = object()
_NOTHING: Mapping[str, str] = {}
# of each kind of node its fields, and for each whether nothing and an empty list are written
_ROWS: dict[type, tuple[tuple[str, bool, bool], ...]] = {}
_BARE: dict[type, str] = {}  # texts of kinds without fields
_PLAIN = frozenset({str, int, float, bool, bytes, complex, type(...)})


def dumped(node: Any, given: Mapping[str, str] = _NOTHING) -> str:
    """Return `ast.dump` of a node; the texts of some of its fields may be given."""
    kind = type(node)
    if kind is ast.Name:
        return _name(node.id, type(node.ctx).__name__)
    if kind is ast.Attribute and type(node.value) is ast.Name:
        return _dotted(node.value.id, node.attr, type(node.ctx).__name__)
    values, found = node.__dict__, []
    for name, nothing, empty in _ROWS.get(kind) or _rows(kind):
        if given and name in given:
            found.append(f"{name}={given[name]}")
            continue
        value = values.get(name, _MISSING)
        holds = type(value)
        if holds in _ROWS:
            found.append(f"{name}={_BARE.get(holds) or dumped(value)}")
        elif holds in _PLAIN:
            found.append(f"{name}={value!r}")
        elif holds is list:
            if value or empty:
                found.append(f"{name}=[{', '.join([_item(one) for one in value])}]")
        elif value is None:
            if nothing:
                found.append(f"{name}=None")
        elif isinstance(value, ast.AST):
            found.append(f"{name}={dumped(value)}")
    return f"{kind.__name__}({', '.join(found)})"


@lru_cache(maxsize=4096)
def _name(name: str, context: str) -> str:
    return ast.dump(ast.Name(name, getattr(ast, context)()))


@lru_cache(maxsize=4096)
def _dotted(name: str, attribute: str, context: str) -> str:
    return ast.dump(ast.Attribute(ast.Name(name, ast.Load()), attribute, getattr(ast, context)()))


def _item(value: Any) -> str:
    return dumped(value) if type(value) in _ROWS or isinstance(value, ast.AST) else repr(value)


def _rows(kind: type[ast.AST]) -> tuple[tuple[str, bool, bool], ...]:
    if not kind._fields:
        _BARE[kind] = f"{kind.__name__}()"
    _ROWS[kind] = tuple((name, _written(kind, name, None), _written(kind, name, [])) for name in kind._fields)
    return _ROWS[kind]


def _written(kind: type[ast.AST], name: str, value: Any) -> bool:
    """Tell whether `ast.dump` writes a field that has some value."""
    node = kind.__new__(kind)
    setattr(node, name, value)
    return f"{name}=" in ast.dump(node)
