"""Runs searches with other values of constants: what studies of constants vary, and nothing else does."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from typing import Any

from operators.tune import gaussian

Values = Mapping[str, Any]  # "module.NAME" -> value; a constant that another module imported by name is given twice


@contextmanager
def changed(values: Values) -> Iterator[None]:
    """Set constants, and set them back; what was computed with others is forgotten."""
    places = [
        (import_module(name.rpartition(".")[0]), name.rpartition(".")[2], value) for name, value in values.items()
    ]
    before = [getattr(module, name) for module, name, _ in places]
    try:
        for module, name, value in places:
            setattr(module, name, value)
        gaussian._shape.cache_clear()
        yield
    finally:
        for (module, name, _), value in zip(places, before, strict=True):
            setattr(module, name, value)
        gaussian._shape.cache_clear()
