"""Holds the record of a task against its declared types, since other people's loaders fill it at run time."""

import types
import typing
from typing import Any, Literal, get_args, get_origin

from suites.foreign.loaded import Loaded


def fault(task: Loaded) -> str | None:
    """Name the first field whose value is not of its type, with what came and what was expected."""
    for field, wanted in typing.get_type_hints(Loaded).items():
        value = getattr(task, field)
        if not _fits(value, wanted):
            said = repr(value) if isinstance(value, str) else _kind(value)
            return f"its {field} is {said}, not {_named(wanted)}"
    return None


def _fits(value: Any, wanted: Any) -> bool:
    """Tell whether a value is of a type, down to what tuples hold."""
    kind, inside = get_origin(wanted), get_args(wanted)
    if kind is Literal:
        return isinstance(value, str) and value in inside
    if kind is types.UnionType:
        return any(_fits(value, one) for one in inside)
    if kind is tuple:
        if not isinstance(value, tuple):
            return False
        every = (inside[0],) * len(value) if inside[-1] is Ellipsis else inside
        return len(value) == len(every) and all(map(_fits, value, every))
    if wanted is float:
        return isinstance(value, (int, float)) and not isinstance(value, bool)
    return isinstance(value, wanted)


def _kind(value: Any) -> str:
    """Name a value's type, and what the first of a tuple's items are."""
    if isinstance(value, tuple):
        return f"tuple[{', '.join(map(_kind, value[:3]))}]"
    return type(value).__name__


def _named(wanted: Any) -> str:
    if get_origin(wanted) is Literal:
        return f"one of {', '.join(get_args(wanted))}"
    return str(wanted) if get_origin(wanted) else str(wanted.__name__)
