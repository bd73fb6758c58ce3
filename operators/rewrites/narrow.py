"""Offsets in 32 bits where every tensor is small enough for them."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import libcst as cst

from operators.launches import Kernel, Launch
from operators.rewrites.pointers import pointers
from operators.rewrites.program import Program, Site
from operators.rewrites.special import Choice, passed, replaced, specialised
from operators.rewrites.widths import widened_data, widens

FITS = "max(sum((n - 1) * s for n, s in zip(t.shape, t.stride())) for t in ({tensors},)) < 2**30"


@dataclass(frozen=True, slots=True)
class Narrow:
    """A kernel without conversions to 64 bits, launched where no offset can need them.

    What they compute that is stored keeps them: the counter of a random number is no offset.
    """

    name: str = "narrow-offsets"
    intent: str = "count offsets in 32 bits where the tensors allow it"

    def sites(self, program: Program) -> Iterator[Site]:
        """Find kernels that convert offsets to 64 bits, whose pointers can be told and are tensors passed by name."""
        for kernel in program.kernels.values():
            if not any(map(widens, kernel.scope.calls)) or kernel.name.endswith("_narrow"):
                continue
            places = {call for call in kernel.scope.calls if widens(call)} - widened_data(program, kernel)
            narrow = partial(replaced, found=places.__contains__, edit=_inner, kinds=(cst.Call,))
            reached = pointers(program, kernel) if places else None
            if reached is None:
                continue
            fits = partial(_fits, kernel=kernel, reached=reached)
            site = specialised(program, kernel, "narrow", narrow, fits, f"{kernel.name} in 32 bits")
            if site is not None:
                yield site


def _inner(call: cst.Call) -> cst.BaseExpression:
    assert isinstance(call.func, cst.Attribute)
    return call.func.value


def _fits(launch: Launch, kernel: Kernel, reached: frozenset[str]) -> Choice | None:
    tensors = []
    others = sorted(reached.difference(kernel.positional))
    for parameter in (*(p for p in kernel.positional if p.endswith("_ptr") or p in reached), *others):
        value = passed(launch, parameter)
        if not isinstance(value, cst.Name):
            return None
        tensors.append(value.value)
    return Choice(FITS.format(tensors=", ".join(tensors))) if tensors else None
