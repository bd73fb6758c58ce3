"""Gives all interpreted kernels one method that launches them, for whoever watches launches or leaves them out.

And annotations as their text has them: Triton compiles the text again under rules of its own file, by which what stood
in quotes stands in them twice, so that a `"tl.constexpr"` is none.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

from triton.runtime import interpreter

Kernel = interpreter.InterpretedFunction


def unify(kind: Any = Kernel) -> None:
    """Have every launch go through the class's `run`: Triton 3.5 gives each kernel a launcher, and indexing another."""
    if hasattr(kind, "run"):
        return
    made = kind.__init__

    def begin(kernel: Any, function: Callable[..., Any], **settings: Any) -> None:
        made(kernel, function, **settings)
        del kernel.run

    kind.__init__, kind.run = begin, _run
    kind.__getitem__ = lambda kernel, grid: partial(kernel.run, grid=grid, warmup=False)


def _run(kernel: Any, *args: Any, grid: Any, warmup: bool, **kwargs: Any) -> Any:
    return None if warmup else interpreter.GridExecutor(kernel.rewrite(), kernel.arg_names, grid)(*args, **kwargs)


def unquote(kind: Any = Kernel) -> None:
    """Take back the quotes that compiling a kernel again puts around annotations."""
    rewrite = kind.rewrite

    def rewritten(kernel: Any) -> Any:
        function = rewrite(kernel)
        held = getattr(function, "__annotations__", {})
        held |= {name: said.strip("\"'") for name, said in held.items() if isinstance(said, str)}
        return function

    kind.rewrite = rewritten


unify()
unquote()
