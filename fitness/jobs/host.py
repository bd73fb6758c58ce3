"""Lets programs that were written for a GPU run on the host: their text, torch.cuda, Triton's tuner and launches.

For short-lived children of the interpreter's server only. What needs a GPU's own library or hardware fails as before.
"""

import contextlib
import sys
import types
from collections.abc import Callable, Iterator
from dataclasses import asdict
from typing import Any, NoReturn

import torch
from triton.backends.compiler import GPUTarget
from triton.runtime import driver as runtime
from triton.runtime.autotuner import Autotuner
from triton.runtime.jit import JITFunction

from fitness import targets
from fitness.jobs import driver, elementwise, interpreted
from suites.foreign.hosted import rewritten

__all__ = ["idle", "install", "rewritten", "stand_aside", "stand_in"]

CHIP = "h100"  # what programs are told that ask which chip they run on
_LAUNCH: Callable[..., Any] = interpreted.Kernel.run
_COMPILED: Callable[..., Any] = JITFunction.run


def install() -> None:
    """Answer for a chip that is not there, launch with the first configuration, and stand in for GEAK-eval's timer."""
    chip = targets.find(CHIP)
    target = GPUTarget(chip.backend, chip.arch, chip.wave)
    driver.install(target, asdict(chip))
    runtime.set_active(_Host(target, asdict(chip)))
    torch.cuda.current_device = lambda: "cpu"
    torch.cuda.device = lambda *_: contextlib.nullcontext()
    torch.cuda.empty_cache = lambda: None
    torch.cuda.manual_seed = torch.cuda.manual_seed_all = lambda *_: None
    if not hasattr(torch._C, "_cuda_getCurrentRawStream"):
        torch._C._cuda_getCurrentRawStream = lambda *_: 0
    elementwise.install()
    Autotuner.run = _first
    interpreted.Kernel.run = _launch
    stand_in()


def stand_in() -> None:
    """Put a timer that refuses where tests import GEAK-eval's from: times are not taken by a program's own process."""
    for package in ("geak_eval.perf.ROCm.", "tb_eval.perf.ROCm.", ""):
        _stand_in(f"{package}performance_utils_pytest")


def stand_aside() -> None:
    """Take those timers away again, for a child in which the suite's own text is imported."""
    for name in [n for n in sys.modules if n.split(".")[0] in ("geak_eval", "tb_eval", "performance_utils_pytest")]:
        del sys.modules[name]


@contextlib.contextmanager
def idle() -> Iterator[None]:
    """Leave every launch out, on the host and on a device."""
    interpreted.Kernel.run = JITFunction.run = lambda *_, **__: None
    try:
        yield
    finally:
        interpreted.Kernel.run, JITFunction.run = _launch, _COMPILED


class _Host(driver.RecordingDriver):
    """The same chip, whose tensors lie on the host."""

    def get_active_torch_device(self) -> torch.device:
        return torch.device("cpu")


def _launch(kernel: Any, *args: Any, grid: Any, warmup: bool, **kwargs: Any) -> Any:
    """Launch with a grid as Triton's own launcher takes it: a list or a number as well as a tuple."""
    whole = (lambda meta: _grid(grid(meta))) if callable(grid) else _grid(grid)
    return _LAUNCH(kernel, *args, grid=whole, warmup=warmup, **kwargs)


def _grid(grid: Any) -> tuple[int, ...]:
    return tuple(int(n) for n in grid) if isinstance(grid, (list, tuple)) else (int(grid),)


def _first(tuner: Any, *args: Any, **kwargs: Any) -> Any:
    """Launch with the tuner's first configuration that its own pruning leaves."""
    tuner.nargs = dict(zip(tuner.arg_names, args, strict=False))
    config = tuner.prune_configs(kwargs)[0] if tuner.early_config_prune else tuner.configs[0]
    given = {**kwargs, **config.all_kwargs()}
    named = {**tuner.nargs, **given}
    if config.pre_hook is not None:
        config.pre_hook(named)
    tuner.pre_hook(named, reset_only=True)
    tuner.best_config = config
    return tuner.fn.run(*args, **given)


def _stand_in(path: str) -> None:
    """Put modules where tests import GEAK-eval's timer from; what they give refuses to time."""

    def refuse(*_: Any, **__: Any) -> NoReturn:
        raise RuntimeError("nothing is timed here")

    parts = path.split(".")
    for end in range(1, len(parts) + 1):
        sys.modules.setdefault(".".join(parts[:end]), types.ModuleType(".".join(parts[:end])))
    last = sys.modules[path]
    for name in ("PytestBenchmarker", "do_bench_config", "save_all_benchmark_results"):
        setattr(last, name, refuse)
