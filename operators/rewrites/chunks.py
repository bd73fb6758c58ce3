"""A block worked through in parts: what one block held at once needs registers for one part alone."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import libcst as cst

from operators.launches import Kernel
from operators.rewrites.lanes import lanes
from operators.rewrites.printing import code
from operators.rewrites.program import Program, Site, adding_constexpr, fresh_name
from operators.rewrites.programs import own_numbers
from operators.rewrites.sharing import disturbed
from operators.rewrites.templates import expression, statement

PARTS = 2  # at first; the tuner moves it


@dataclass(frozen=True, slots=True)
class Chunks:
    """A loop over the parts of a block in the place of one large block."""

    name: str = "loop-over-block"
    intent: str = "work through a block in parts"

    def sites(self, program: Program) -> Iterator[Site]:
        """Find kernels without loops whose every lane is worked out alone."""
        for kernel in program.kernels.values():
            asked = own_numbers(program, kernel)
            found = lanes(program, kernel, asked) if asked and not kernel.scope.loops else None
            if found is None or found.reductions or found.blocks or found.hints or "PARTS" in kernel.constexprs:
                continue
            sizes = {code(call.args[-1].value) for call in found.ranges}
            if len(sizes) == 1 and sizes <= kernel.constexprs.keys() and not disturbed(program, kernel):
                yield _site(program, kernel, found.ranges, sizes.pop())


def _site(program: Program, kernel: Kernel, ranges: list[cst.Call], size: str) -> Site:
    part = fresh_name(program, kernel, "part")
    function = program.function(kernel)
    first = min(program.place(call)[1] for call in ranges)
    edits = [(program.tree.path(call), partial(_shorter, part=part, size=size)) for call in ranges]
    looping = partial(_looping, first=first, header=f"for {part} in range(0, {size}, {size} // PARTS):\n    pass\n")
    return Site(
        f"{size} of {kernel.name}",
        (*edits, (program.tree.path(function.body), looping), adding_constexpr(program, kernel, "PARTS", PARTS)),
    )


def _shorter(call: cst.Call, part: str, size: str) -> cst.BaseExpression:
    return expression(f"({part} + tl.arange(0, {size} // PARTS))")


def _looping(block: Any, first: int, header: str) -> Any:
    loop = statement(header).with_changes(body=cst.IndentedBlock(list(block.body[first:])))
    return block.with_changes(body=[*block.body[:first], loop])
