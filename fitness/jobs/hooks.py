"""Stands in for triton.compile and the autotuner, so that launches are written down where they would be made."""

from collections.abc import Callable
from typing import Any

import torch
import triton
import triton.compiler.compiler as triton_compiler
from triton.compiler import ASTSource
from triton.runtime.autotuner import Autotuner

from fitness.jobs.tensors import RECORDERS, Answers

_TRITON_COMPILE: Callable[..., Any] = triton_compiler.compile
_TRITON_TUNE: Callable[..., Any] = Autotuner.run


class Pending:
    """Stands in for a compiled kernel: launching it is written down."""

    function, packed_metadata = 0, None

    def __init__(self, recorder: Answers, src: ASTSource, options: dict[str, Any], ttir: str | None) -> None:
        self._recorder, self.src, self.options, self.ttir = recorder, src, options, ttir

    def launch_metadata(self, *_: Any) -> None:
        """Tell no profiler anything."""

    def run(self, x: int, y: int, z: int, *rest: Any) -> None:
        """Record a launch; the runtime puts stream, function, two metadata and two hooks before the arguments."""
        self._recorder.launch(self, (x, y, z), rest[6:])

    def __getitem__(self, grid: Any) -> Callable[..., None]:
        """Return a launcher of a kernel that was warmed up before: it takes every argument, in order."""
        x, y, z = (*grid, 1, 1)[:3]
        return lambda *values, stream=None: self._recorder.launch(self, (x, y, z), values)

    def _init_handles(self) -> None:
        """Load nothing."""

    def __getattr__(self, name: str) -> Any:
        """Compile for real when a launcher asks for figures, as those that compute their own occupancy do."""
        if name not in ("metadata", "asm", "n_regs", "n_spills", "n_max_threads", "name"):
            raise AttributeError(name)
        compiled = _TRITON_COMPILE(self.src, target=self._recorder.target, options=self.options)
        if name in ("n_regs", "n_spills"):
            from fitness.resources import read

            figures = read(compiled.asm, compiled.metadata._asdict(), self.src.name, self._recorder.target)
            return figures.vgprs if name == "n_regs" else figures.spills
        return getattr(compiled, name)


def install() -> None:
    """Put the recorder of the current call where Triton compiles and tunes."""

    def compile_or_record(src: ASTSource, target: Any = None, options: Any = None, **rest: Any) -> Any:
        take = RECORDERS[-1].compile if RECORDERS else _TRITON_COMPILE
        return take(src, target=target, options=options, **rest)

    def tune_or_record(tuner: Any, *args: Any, **kwargs: Any) -> Any:
        return RECORDERS[-1].tune(tuner, args, kwargs) if RECORDERS else _TRITON_TUNE(tuner, *args, **kwargs)

    triton.compiler.compile = triton_compiler.compile = compile_or_record
    Autotuner.run = tune_or_record
    torch.inference_mode = _without_gradients


def _without_gradients(mode: Any = True) -> Any:
    """Stand in for inference mode, of which tensors that hold nothing cannot be; what is written down is the same."""
    return torch.no_grad()(mode) if callable(mode) else torch.set_grad_enabled(not mode)
