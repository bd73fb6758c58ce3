"""One block that holds a whole row in the place of loops over its parts: what was read twice stays in registers."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import libcst as cst

from operators.launches import Kernel, Launch
from operators.program_tree import copied
from operators.remembering import remembered
from operators.rewrites.printing import code
from operators.rewrites.program import Program, Site
from operators.rewrites.special import Choice, passed, replaced, specialised
from operators.rewrites.templates import statement
from operators.walking import of_kind

LARGEST = 16384  # elements of one block; more do not fit the registers of one program


@dataclass(frozen=True, slots=True)
class Over:
    """What all loops of a kernel run over: from 0 to `size` in steps of `block`."""

    size: str
    block: str


@dataclass(frozen=True, slots=True)
class Whole:
    """A kernel without its loops, launched with a block as large as the row where that is not too long."""

    name: str = "whole-row-block"
    intent: str = "hold a row in one block, so that nothing is read again"

    def sites(self, program: Program) -> Iterator[Site]:
        """Find kernels all of whose loops run over the same size in steps of one constexpr."""
        for kernel in program.kernels.values():
            found = over(program, kernel)
            if found is None or kernel.name.endswith("_whole"):
                continue
            site = specialised(
                program,
                kernel,
                "whole",
                flattened,
                partial(_short, over=found),
                f"loops over {found.size} by {found.block}",
            )
            if site is not None:
                yield site


def over(program: Program, kernel: Kernel) -> Over | None:
    """Return what all loops of a kernel run over, None where that is not one thing."""
    found = {_read(call, kernel) for _, call, home in program.loops() if home.scope is kernel.scope}
    only = found.pop() if len(found) == 1 else None
    return only if only is not None and not kernel.facts.dots and not _deep(program, kernel) else None


def _deep(program: Program, kernel: Kernel) -> bool:
    """Tell whether a kernel has blocks of three dimensions, in which no row has room."""
    views = (n for n in of_kind(program.function(kernel), cst.Subscript))
    return any(len(view.slice) > 2 for view in views)


def _read(call: cst.Call, kernel: Kernel) -> Over | None:
    values = [a.value for a in call.args if a.keyword is None and not a.star]
    if len(values) != 3 or type(values[0]) is not cst.Integer or int(values[0].value, 0):
        return None
    size, block = values[1:]
    if type(size) is not cst.Name or type(block) is not cst.Name or block.value not in kernel.constexprs:
        return None
    return Over(size.value, block.value) if size.value in kernel.positional else None


def _short(launch: Launch, over: Over) -> Choice | None:
    size, block = passed(launch, over.size), passed(launch, over.block)
    named = any(a.keyword is not None and a.keyword.value == over.block for a in launch.call.args)
    if size is None or block is None or not named:
        return None
    text = code(size)
    return Choice(f"{text} <= {LARGEST}", {over.block: f"triton.next_power_of_2(max({text}, 1))"})


@remembered
def flattened(function: cst.FunctionDef) -> cst.FunctionDef:
    """Put the bodies of loops in their place, with the variable at 0."""
    return replaced(function, _has_loops, _inlined, (cst.IndentedBlock,))


def _has_loops(node: cst.CSTNode) -> bool:
    return type(node) is cst.IndentedBlock and any(type(s) is cst.For for s in node.body)


def _inlined(block: Any) -> Any:
    body: list[Any] = []
    for one in block.body:
        if type(one) is cst.For and type(one.target) is cst.Name and one.orelse is None:
            first = statement(f"{one.target.value} = 0")
            body += [copied(first, {"leading_lines": one.leading_lines}), *one.body.body]
        else:
            body.append(one)
    return copied(block, {"body": body})
