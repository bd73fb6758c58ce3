"""Notices a program that replaces functions of torch, Triton, Python or the recorder while it is recorded.

A program that knows of this can hide from it: it lives in the same process. Nothing rests on it, for what comes out
of the process is a plan that is compiled, run and checked elsewhere. It is here to give the honest message.
"""

import builtins
import json
import statistics
import struct
import time
from collections.abc import Iterator
from dataclasses import replace
from types import ModuleType
from typing import Any

import msgpack
import torch
import triton
import triton.language as tl
import triton.testing
from triton.runtime import autotuner, interpreter, jit

from fitness import child, plan, wire
from fitness.child import Refused
from fitness.jobs import driver, frontend, program, tensors
from fitness.plan import LaunchPlan

_MODULES = (
    builtins, json, statistics, struct, time, msgpack,
    torch, torch.cuda, torch.testing, torch.nn.functional, torch.utils._pytree,
    triton, triton.testing, triton.compiler, triton.compiler.compiler, triton.runtime, jit, autotuner, interpreter,
    tl, tl.core, tl.math, tl.standard,
    child, plan, wire, driver, frontend, program, tensors,
)  # fmt: skip
_CLASSES = (
    torch.Tensor, torch.cuda.Event, torch.cuda.Stream, torch.cuda.CUDAGraph,
    triton.compiler.ASTSource, triton.compiler.CompiledKernel, triton.Config,
    jit.JITFunction, jit.KernelInterface, autotuner.Autotuner, autotuner.Heuristics, interpreter.InterpreterBuilder,
    child.Report, driver.RecordingDriver, tensors.Recorded, tensors.Intercept,
)  # fmt: skip


class Snapshot:
    """The functions that are watched, as they were before the program was imported."""

    def __init__(self, *more: ModuleType | type) -> None:
        self._before = dict(_watched((*_MODULES, *_CLASSES, *more)))
        self._owners = (*_MODULES, *_CLASSES, *more)

    def verify(self) -> None:
        """Refuse a program that replaced or removed one of them."""
        now = dict(_watched(self._owners))
        changed = [name for name, value in self._before.items() if now.get(name) is not value]
        if changed:
            names = ", ".join(f"`{name}`" for name in changed[:5])
            raise Refused("tampering", f"the program replaces {names}: leave other modules' functions as they are")


def same(one: LaunchPlan, other: LaunchPlan) -> None:
    """Refuse a launcher that does something else when it is called again with equal arguments."""
    if _form(one) != _form(other):
        raise Refused(
            "unstable",
            "the launcher makes other launches when it is called again with equal arguments: what it does may depend "
            "on its arguments alone, not on how often or from where it is called",
        )


def _form(recorded: LaunchPlan) -> Any:
    """Return a plan without its code, which is lowered in one recording only."""
    codeless = [
        [(v.grid, v.label, replace(v.kernel, ttir=None)) for v in launch.variants] for launch in recorded.launches
    ]
    return recorded.buffers, codeless, [launch.arguments for launch in recorded.launches], recorded.outputs


def _watched(owners: tuple[Any, ...]) -> Iterator[tuple[str, Any]]:
    """List every function, method and class of the owners by its full name."""
    for owner in owners:
        name = owner.__name__ if isinstance(owner, ModuleType) else f"{owner.__module__}.{owner.__qualname__}"
        for key, value in vars(owner).items():
            if callable(value) or hasattr(type(value), "__get__"):
                yield f"{name}.{key}", value
