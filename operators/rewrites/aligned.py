"""Tells the compiler what the launcher sees of sizes and strides: which power of two, up to 16, divides each."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import libcst as cst

from operators.launches import Kernel, Launch
from operators.rewrites.bounds import Masks, accesses, masks
from operators.rewrites.printing import code
from operators.rewrites.program import Program, Site, constexpr_added
from operators.rewrites.programs import launched, relaunching
from operators.rewrites.special import passed
from operators.rewrites.splicing import Insertion
from operators.rewrites.templates import statements

LARGEST = 16  # elements; more than that no load of a thread holds
_SHAPES = ("stride", "shape", "size", "numel", "dim")


@dataclass(frozen=True, slots=True)
class Aligned:
    """`n // UNIT * UNIT` in the place of n, where the launcher passes gcd(n, 16) as UNIT.

    Triton itself sees whether 16 divides a number, and nothing of 8 or 4: rows of 5000 elements are then read one
    element at a time, though each begins at a multiple of 8.
    """

    name: str = "aligned-sizes"
    intent: str = "say which power of two divides sizes and strides, so that loads and stores are as wide as that"

    def sites(self, program: Program) -> Iterator[Site]:
        """Find kernels with sizes in masks or with strides."""
        read = masks(program)
        for kernel in program.kernels.values():
            found = launched(program, kernel)
            wanted = [p for p in _lengths(program, kernel, read[kernel.name], found) if _unit(p) not in _names(kernel)]
            values = [_passed(launch, wanted) for launch in found]
            if wanted and values and all(values) and _has_math(program, found):
                yield _site(program, kernel, found, wanted)


def _unit(parameter: str) -> str:
    return f"{parameter.upper()}_UNIT"


def in_units(parameter: str) -> str:
    """Return what is the same as a parameter, and shows the compiler what divides it."""
    return f"{parameter} // {_unit(parameter)} * {_unit(parameter)}"


def _names(kernel: Kernel) -> set[str]:
    return {*kernel.positional, *kernel.constexprs, *kernel.scope.bindings}


def _lengths(program: Program, kernel: Kernel, own: Masks, found: tuple[Launch, ...]) -> list[str]:
    """Return the parameters that are ends of blocks, or that launches take from a tensor's shape."""
    ends = {
        name
        for _, mask in accesses(program.function(kernel))
        for one in own.bounds(mask)
        for name in (one.end, one.whole)
    }
    return [
        name
        for name in kernel.positional
        if name not in kernel.constexprs
        and (name in ends or (found and all(_of_shape(passed(launch, name)) for launch in found)))
    ]


def _of_shape(value: cst.BaseExpression | None) -> bool:
    """Tell whether a value is a stride or size of a tensor and nothing else."""
    if type(value) is cst.Subscript:
        value = value.value
    elif type(value) is cst.Call:
        value = value.func
    return type(value) is cst.Attribute and value.attr.value in _SHAPES


def _passed(launch: Launch, wanted: list[str]) -> dict[str, str]:
    """Return what a launch passes to tell the units of some parameters, nothing where it does not pass them."""
    given = {name: passed(launch, name) for name in wanted}
    plain = {_unit(name): f"math.gcd({code(value)}, {LARGEST})" for name, value in given.items() if value is not None}
    return plain if len(plain) == len(wanted) else {}


def _site(program: Program, kernel: Kernel, found: tuple[Launch, ...], wanted: list[str]) -> Site:
    function = program.function(kernel)
    edits: list[tuple[Any, Any]] = [
        (program.tree.path(launch.call), partial(_passing, values=_passed(launch, wanted))) for launch in found
    ]
    edits.append((program.tree.path(function.params), partial(_units, wanted=wanted)))
    lines = tuple(f"{name} = {in_units(name)}" for name in wanted)
    place = 1 if function.get_docstring() is not None else 0
    added = [Insertion(program.tree.path(function.body), place, "units", partial(statements, *lines))]
    if "math" not in program.tree.top.bindings:
        added.append(Insertion((), _first(program), "import math", partial(statements, "import math")))
    return Site(f"{', '.join(wanted)} of {kernel.name}", tuple(edits), tuple(added))


def _has_math(program: Program, found: tuple[Launch, ...]) -> bool:
    """Tell whether `math` is Python's own where kernels are launched, or nothing yet."""
    top = program.tree.top
    if any(launch.scope.home("math") not in (None, top) for launch in found):
        return False
    lines = [line for line in program.tree.module.body if type(line) is cst.SimpleStatementLine]
    parts = [part for line in lines for part in line.body]
    plain = [one for part in parts if type(part) is cst.Import for one in part.names if code(one.name) == "math"]
    starred = any(type(part) is cst.ImportFrom and type(part.names) is cst.ImportStar for part in parts)
    return not starred and len(top.bindings.get("math", ())) == sum(one.asname is None for one in plain)


def _passing(call: cst.Call, values: dict[str, str]) -> cst.Call:
    assert isinstance(call.func, cst.Subscript)
    return call.with_changes(args=relaunching(call, "(1,)", values).args)


def _units(parameters: cst.Parameters, wanted: list[str]) -> cst.Parameters:
    for name in wanted:
        parameters = constexpr_added(parameters, _unit(name), 1)
    return parameters


def _first(program: Program) -> int:
    """Return where a module's imports can begin."""
    lines = program.tree.module.body
    return next((n for n, line in enumerate(lines) if not _leads(line)), len(lines))


def _leads(line: cst.CSTNode) -> bool:
    """Tell whether a line is a docstring or an import from __future__."""
    (part,) = line.body if type(line) is cst.SimpleStatementLine and len(line.body) == 1 else (None,)
    if type(part) is cst.ImportFrom:
        return type(part.module) is cst.Name and part.module.value == "__future__"
    return type(part) is cst.Expr and isinstance(part.value, (cst.SimpleString, cst.ConcatenatedString))
