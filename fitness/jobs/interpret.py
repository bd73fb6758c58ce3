"""Replays launch plans under Triton's interpreter: for outputs to compare, and for the work a program does.

The launcher does not run here: the plan says what to launch. Kernels run as Python on the CPU, one program after
another, so races between programs do not show. The program is imported again for that: one that wants to be another
program under the interpreter can be. Only code that runs on a GPU settles that.
"""

import dataclasses
import gc
import inspect
import types
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NoReturn

import numpy as np
import torch
from triton.language.extra import cuda, hip, libdevice
from triton.runtime import interpreter

from fitness import plan as plans
from fitness.child import Refused, Report
from fitness.jobs import arguments as arguments_of
from fitness.jobs import bfloat16, masks, program
from fitness.jobs.counting import Work, counting
from fitness.jobs.repeating import blocks, repeated, untouched
from fitness.passed import Pointer
from fitness.plan import Buffer, LaunchPlan, Variant
from fitness.poison import POISONS, Poison
from suites import inputs as inputs_of
from suites.task import ITEM_BYTES, Argument, unpack_arguments

GUARD = 4096  # bytes on both sides of every buffer that nothing may write
_GUARD_BYTE = 0x7F  # floats of it are so large that a result which reads one shows it
OPERATIONS = 400  # for each sample that is asked for: programs that take more are slow, and fewer of them must do


class Memory:
    """The buffers of one plan in this process, with guards around them."""

    def __init__(self, plan: LaunchPlan, inputs: dict[str, bytes], guarded: bool, poison: Poison = POISONS[0]) -> None:
        self.plan, self._poison = plan, poison
        self._guard = GUARD if guarded else 0
        self._raw = [self._allocate(b, inputs) for b in plan.buffers]

    def _allocate(self, buffer: Buffer, inputs: dict[str, bytes]) -> torch.Tensor:
        """Allocate, then fill with the input, the launcher's fill, or poison. Without guards `inputs` are repeated."""
        if not self._guard:
            if buffer.input in inputs:
                return repeated(inputs[buffer.input], buffer.bytes + 64)
            return untouched(buffer.bytes + 64)
        raw = torch.full((buffer.bytes + 2 * self._guard,), _GUARD_BYTE, dtype=torch.uint8)
        body = raw[self._guard : self._guard + buffer.bytes]
        if not buffer.bytes:
            return raw
        if buffer.input is not None:
            body.copy_(torch.frombuffer(bytearray(inputs[buffer.input]), dtype=torch.uint8))
        else:
            typed = body.view(getattr(torch, buffer.dtype))
            if buffer.fill is not None:
                typed.fill_(buffer.fill)
            elif buffer.dtype in self._poison.floats:
                typed.fill_(self._poison.floats[buffer.dtype])
            else:
                body.fill_(self._poison.byte)
        return raw

    def tensor(self, pointer: Pointer, dtype: str) -> torch.Tensor:
        """Return a flat tensor that begins where the pointer points."""
        raw = self._raw[pointer.buffer]
        end = raw.numel() - self._guard
        body = raw[self._guard + pointer.offset : end]
        size = ITEM_BYTES[dtype]
        return body[: body.numel() // size * size].view(getattr(torch, dtype))

    def output(self, number: int) -> list[Any]:
        """Return one output's schema and its bytes in row-major order."""
        view = self.plan.outputs[number]
        flat = self.tensor(Pointer(view.buffer, view.offset), view.dtype)
        shaped = flat.as_strided(view.shape, view.strides).contiguous()
        data = shaped.reshape(-1).view(torch.uint8).numpy().tobytes() if shaped.numel() else b""
        return [view.dtype, list(view.shape), data]

    def verify(self, inputs: dict[str, bytes], in_place: tuple[str, ...]) -> None:
        """Refuse writes outside the buffers, and writes into inputs that are not declared `in_place`."""
        for buffer, raw in zip(self.plan.buffers, self._raw, strict=True):
            what = f"input `{buffer.input}`" if buffer.input else "an allocation"
            edges = (raw[: self._guard], raw[raw.numel() - self._guard :])
            if any(bool((edge != _GUARD_BYTE).any()) for edge in edges):
                raise Refused("out-of-bounds", f"the kernel writes outside {what} of {buffer.bytes} bytes")
            body = raw[self._guard : raw.numel() - self._guard]
            if buffer.input and buffer.input not in in_place and body.numpy().tobytes() != inputs[buffer.input]:
                raise Refused("input-changed", f"the kernel changes its {what}")


def interpret(payload: Any, report: Report) -> Any:
    """Check small plans (outputs as bytes) and profile full plans (work of sampled programs)."""
    prepare()
    module = program.load(payload["source"], report)
    in_place = tuple(payload["in_place"])
    checked = []
    for case, plain, given, poison in payload["checks"]:
        report.stage(f"correctness:{case}")
        plan, inputs = plans.unpack(plain), dict(given)
        memory = Memory(plan, inputs, guarded=True, poison=POISONS[poison])
        for launch in plan.launches:
            _launch(module, memory, launch.chosen, launch.arguments)
        memory.verify(inputs, in_place)
        checked.append([memory.output(n) for n in range(len(plan.outputs))])
    profiled = []
    for case, plain, arguments, seed, samples in payload["profiles"]:
        report.stage(f"predict:{case}")
        profiled.append(_profiles(module, plans.unpack(plain), unpack_arguments(arguments), seed, case, samples))
        gc.collect()  # the interpreter's own circles hold tensors of gigabytes
    return checked, profiled


def _profiles(module: types.ModuleType, plan: LaunchPlan, arguments: Mapping[str, Argument], seed: int, case: str,
              samples: int) -> list[Any]:  # fmt: skip
    """Count the work of each launch's variants; the memory of one plan is given back before the next one's is taken."""
    rng = inputs_of.generator(seed, case)
    memory = Memory(plan, blocks(arguments, seed), guarded=False)
    return [
        [_profile(module, memory, v, one.arguments, rng, samples).plain() for v in one.variants]
        for one in plan.launches
    ]


def prepare() -> None:
    """Make the interpreter round as a GPU does, and leave out what only its debug mode looks at."""
    torch.set_num_threads(1)
    np.seterr(all="ignore")
    # the checks are only evaluated in debug mode, but cost 40% of the time without it
    builder = interpreter.interpreter_builder
    builder.options = dataclasses.replace(builder.options, sanitize_overflow=False)
    bfloat16.install()
    masks.install()
    for library in (libdevice, cuda.libdevice, hip.libdevice):
        for name, function in inspect.getmembers(library, inspect.isfunction):
            setattr(library, name, _absent(name) if function.__module__ == library.__name__ else function)


def _absent(name: str) -> Callable[..., NoReturn]:
    """Stand in for a function of the device's library, which the interpreter takes for one that gives nothing."""

    def refuse(*_: Any, **__: Any) -> NoReturn:
        raise NotImplementedError(f"`{name}` of the device's own library")

    return refuse


def _launch(module: types.ModuleType, memory: Memory, variant: Variant, arguments: tuple[tuple[str, Any], ...]) -> None:
    """Run a whole grid."""
    values = _values(module, memory, variant, arguments)
    with _able():
        _kernel(module, variant)[variant.grid](**values)


def _profile(module: types.ModuleType, memory: Memory, variant: Variant, arguments: tuple[tuple[str, Any], ...],
             rng: np.random.Generator, samples: int) -> Work:  # fmt: skip
    """Run a few programs of a grid, drawn so that no kernel can know which, and count what they do."""
    values = _values(module, memory, variant, arguments)
    kernel = _kernel(module, variant)
    x, y, z = variant.grid
    total = x * y * z
    work = Work()
    for number in rng.choice(total, min(samples, total), replace=False).tolist():
        place = (number % x, number // x % y, number // (x * y))
        before = work.done
        with _able(), counting(work), _placed(place, variant.grid):
            kernel[(1, 1, 1)](**values)
        work.count(before)
        if work.operations > OPERATIONS * samples:
            break
    return work


def _kernel(module: types.ModuleType, variant: Variant) -> Any:
    kernel = program.innermost(getattr(module, variant.kernel.function, None))
    if not isinstance(kernel, interpreter.InterpretedFunction):
        raise Refused("kernel", f"`{variant.kernel.function}` is no kernel when the program is imported again")
    return kernel


def _values(
    module: types.ModuleType, memory: Memory, variant: Variant, arguments: tuple[tuple[str, Any], ...]
) -> dict[str, Any]:
    """Build the keyword arguments of a launch from plan data."""
    types_of = dict(variant.kernel.signature)
    values = {n: arguments_of.given(module, v, types_of[n], memory.tensor) for n, v in arguments}
    return values | {n: arguments_of.constant_again(module, c) for n, c in variant.kernel.constants}


@contextmanager
def _able() -> Iterator[None]:
    """Say of what the interpreter has not that it is no fault of the kernel's."""
    try:
        yield
    except interpreter.InterpreterError as error:
        cause: BaseException | None = error
        while cause is not None and not isinstance(cause, NotImplementedError):
            cause = cause.__cause__
        if cause is None:
            raise
        raise Refused("interpreter", f"the interpreter cannot judge this: {cause}") from error


@contextmanager
def _placed(place: tuple[int, int, int], grid: tuple[int, int, int]) -> Iterator[None]:
    """Make a launch of one program believe it is another program of a larger grid."""
    builder = interpreter.interpreter_builder
    kind = type(builder)
    builder.set_grid_dim = lambda *_: kind.set_grid_dim(builder, *grid)
    builder.set_grid_idx = lambda *_: kind.set_grid_idx(builder, *place)
    try:
        yield
    finally:
        del builder.set_grid_dim, builder.set_grid_idx
