"""Writes down what a script compares while it runs: both sides and the tolerances, whatever it then makes of them.

What the program on trial compares for itself, and what torch compares to answer, is none of the script's.
"""

import contextlib
import os
import sys
from collections.abc import Callable, Iterator
from typing import Any

import torch

_COMPARING = ((torch, "allclose"), (torch, "equal"), (torch, "isclose"), (torch.testing, "assert_close"))
_ASSERTED = {"float16": (1e-3, 1e-5), "bfloat16": (1.6e-2, 1e-5), "float32": (1.3e-6, 1e-5), "float64": (1e-7, 1e-7)}


@contextlib.contextmanager
def comparisons(folder: str, program: str) -> Iterator[list[dict[str, Any]]]:
    """Fill a list with every comparison of tensors that files of a folder make inside, but for the program's file."""
    made: list[dict[str, Any]] = []

    def asked(file: str) -> bool:
        path = os.path.realpath(os.path.join(folder, file))
        own = path == os.path.realpath(program) or not os.path.isfile(path)  # what it makes while it runs has no file
        return not own and path.startswith(os.path.realpath(folder) + os.sep)

    before = [getattr(module, name) for module, name in _COMPARING]
    for (module, name), function in zip(_COMPARING, before, strict=True):
        setattr(module, name, _noting(name, function, made, asked))
    try:
        yield made
    finally:
        for (module, name), function in zip(_COMPARING, before, strict=True):
            setattr(module, name, function)


def _noting(name: str, function: Callable[..., Any], made: list[dict[str, Any]], asked: Callable[[str], bool]
            ) -> Callable[..., Any]:  # fmt: skip
    def noting(one: Any, other: Any, *args: Any, **kwargs: Any) -> Any:
        tensors = isinstance(one, torch.Tensor) and isinstance(other, torch.Tensor)
        if tensors and asked(sys._getframe(1).f_code.co_filename):
            limits = _limits(name, one, args, kwargs)
            made.append({"one": one.detach().cpu().clone(), "other": other.detach().cpu().clone(), **limits})
        return function(one, other, *args, **kwargs)

    return noting


def _limits(name: str, one: torch.Tensor, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
    """Return how near the two sides must be."""
    if name == "equal":
        return {"rtol": 0.0, "atol": 0.0, "nan": False}
    asserted = name == "assert_close"
    usual = _ASSERTED.get(str(one.dtype).removeprefix("torch."), (0.0, 0.0)) if asserted else (1e-5, 1e-8)
    given = dict(zip(() if asserted else ("rtol", "atol", "equal_nan"), args, strict=False)) | kwargs
    rtol, atol = given.get("rtol"), given.get("atol")
    return {
        "rtol": float(usual[0] if rtol is None else rtol),
        "atol": float(usual[1] if atol is None else atol),
        "nan": bool(given.get("equal_nan", False)),
    }
