"""A loop of a known, short length written out by the compiler."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

import libcst as cst

from operators.launches import Kernel
from operators.rewrites.program import Program, Site, dotted
from operators.rewrites.templates import expression
from operators.walking import descend

MOST = 32  # turns; more make code that no instruction cache holds


@dataclass(frozen=True, slots=True)
class Unroll:
    """tl.static_range in the place of a range over constants, and back."""

    name: str = "static-range"
    intent: str = "unroll a short loop whose length is known when it is compiled, or no longer"

    def sites(self, program: Program) -> Iterator[Site]:
        """Find loops over numbers and constexprs."""
        for _, over, kernel in program.loops():
            path, said = program.tree.path(over), program.text(over)
            if any(a.star or a.keyword is not None for a in over.args) or not 1 <= len(over.args) <= 3:
                continue
            if dotted(over.func, "static_range"):
                yield Site(f"{said} as range", ((path, _rolled),))
            elif _short(over, kernel):
                yield Site(f"{said} unrolled", ((path, _unrolled),))


def _short(call: cst.Call, kernel: Kernel) -> bool:
    """Tell whether all bounds are known when a kernel is compiled, and no number among them is large."""
    for part in (p for a in call.args for p in descend(a.value)):
        if (
            isinstance(part, cst.Name)
            and part.value not in kernel.constexprs
            and part.value not in kernel.facts.constants
        ):
            return False
        if isinstance(part, (cst.Call, cst.Attribute)):
            return False
    numbers = [int(a.value.value, 0) for a in call.args if isinstance(a.value, cst.Integer)]
    if len(call.args) == 3 and isinstance(call.args[2].value, cst.Integer) and numbers[-1] == 0:
        return False
    return len(numbers) < len(call.args) or len(list(islice(range(*numbers), MOST + 1))) <= MOST


def _unrolled(call: cst.Call) -> cst.Call:
    return call.with_changes(func=expression("tl.static_range"))


def _rolled(call: cst.Call) -> cst.Call:
    return call.with_changes(func=cst.Name("range"))
