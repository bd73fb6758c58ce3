"""Blocks of more elements where elements are small: a program then moves as many bytes as with large ones."""

from collections.abc import Iterator
from dataclasses import dataclass

import libcst as cst

from operators.launches import Launch, grid
from operators.rewrites.program import Program, Site
from operators.rewrites.special import Choice, Choosing, line_of, passed
from operators.walking import descend

WIDE = 4  # bytes of an element from which on a launch stays as it is
MORE = 2  # times as many elements at first; the tuner moves each launch's block


@dataclass(frozen=True, slots=True)
class Bytes:
    """One launch for elements of less than four bytes, and one for others, each with knobs of its own."""

    name: str = "blocks-by-bytes"
    intent: str = "choose the block by the size of the elements"

    def sites(self, program: Program) -> Iterator[Site]:
        """Find launches of kernels without products that pass a number for a block."""
        for launch in program.launches:
            line, tensor = line_of(program, launch.call), _tensor(launch)
            if line is None or tensor is None or launch.kernel.facts.dots or _chosen(program, launch):
                continue
            blocks = dict(_blocks(launch))
            if blocks:
                choice = Choice(f"{tensor}.element_size() < {WIDE}", blocks)
                yield Site(
                    f"launch of {launch.label}", ((program.tree.path(line), Choosing(launch.kernel.name, choice)),)
                )


def _blocks(launch: Launch) -> Iterator[tuple[str, str]]:
    """Give the last block that a launch passes as a number that its grid does not repeat, and a larger number."""
    repeated = {number.evaluated_value + shift for number in grid(launch)[1] for shift in (0, 1)}
    sizes = [
        (a.keyword.value, a.value.evaluated_value)
        for a in launch.call.args
        if a.keyword is not None and a.keyword.value in launch.kernel.facts.ranged and isinstance(a.value, cst.Integer)
    ]
    for name, size in sizes[-1:]:
        if size not in repeated:
            yield name, str(size * MORE)


def _tensor(launch: Launch) -> str | None:
    """Return the name of the first tensor that a launch passes: mostly what it writes."""
    values = (passed(launch, parameter) for parameter in launch.kernel.positional if "ptr" in parameter)
    return next((value.value for value in values if isinstance(value, cst.Name)), None)


def _chosen(program: Program, launch: Launch) -> bool:
    """Tell whether a launch is already a choice by the size of elements."""
    tests = (node.test for node in program.tree.around(launch.call) if isinstance(node, cst.If))
    return any(isinstance(n, cst.Attribute) and n.attr.value == "element_size" for test in tests for n in descend(test))
