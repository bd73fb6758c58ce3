"""Offsets in 32 bits where every tensor is small enough for them."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import libcst as cst

from operators.launches import Kernel, Launch
from operators.rewrites.program import Program, Site, dotted
from operators.rewrites.special import Choice, passed, replaced, specialised

FITS = "max(sum((n - 1) * s for n, s in zip(t.shape, t.stride())) for t in ({tensors},)) < 2**30"


@dataclass(frozen=True, slots=True)
class Narrow:
    """A kernel without conversions to 64 bits, launched where no offset can need them."""

    name: str = "narrow-offsets"
    intent: str = "count offsets in 32 bits where the tensors allow it"

    def sites(self, program: Program) -> Iterator[Site]:
        """Find kernels that convert to 64 bits, and whose tensors are passed by name."""
        for kernel in program.kernels.values():
            function = program.function(kernel)
            if not any(_widened(call) for call in kernel.scope.calls) or kernel.name.endswith("_narrow"):
                continue
            site = specialised(
                program, kernel, "narrow", lambda f: replaced(f, _widened, _inner), partial(_fits, kernel=kernel),
                f"{function.name.value} in 32 bits",
            )  # fmt: skip
            if site is not None:
                yield site


def _widened(node: cst.CSTNode) -> bool:
    """Tell whether an expression is `x.to(tl.int64)`."""
    return (
        type(node) is cst.Call  # asked of every node; isinstance takes ten times as long where the answer is no
        and isinstance(node.func, cst.Attribute)
        and node.func.attr.value == "to"
        and len(node.args) == 1
        and dotted(node.args[0].value, "int64")
    )


def _inner(call: cst.Call) -> cst.BaseExpression:
    assert isinstance(call.func, cst.Attribute)
    return call.func.value


def _fits(launch: Launch, kernel: Kernel) -> Choice | None:
    tensors = []
    for parameter in (p for p in kernel.positional if p.endswith("_ptr")):
        value = passed(launch, parameter)
        if not isinstance(value, cst.Name):
            return None
        tensors.append(value.value)
    return Choice(FITS.format(tensors=", ".join(tensors))) if tensors else None
