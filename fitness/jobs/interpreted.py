"""Gives all interpreted kernels one method that launches them, for whoever watches launches or leaves them out.

And finds constants as the compiler does: its text is compiled again under rules of the interpreter's own file, by which
every annotation is text, and it knows a constant by two spellings, so that an `L.constexpr` or a quoted one is none.
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


def constants(kind: Any = Kernel) -> None:
    """Take for constants what the compiler takes for them: what is annotated with a name that holds `constexpr`."""
    rewrite = kind.rewrite

    def rewritten(kernel: Any) -> Any:
        function = rewrite(kernel)
        said = {name: getattr(a, "__name__", str(a)) for name, a in kernel.fn.__annotations__.items()}
        function.__annotations__ = {name: "constexpr" for name, text in said.items() if "constexpr" in text}
        return function

    kind.rewrite = rewritten


unify()
constants()
