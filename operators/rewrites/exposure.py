"""Numbers in kernels that only say how the work is done, as constexprs with defaults: then the tuner can move them."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import libcst as cst

from operators import knob_values
from operators.launches import Kernel
from operators.program_tree import Edit, Path
from operators.rewrites.program import Program, Site, adding_constexpr, dotted, fresh_name, keyword, removed
from operators.rewrites.templates import expression
from operators.walking import descend

SMALLEST = 16  # lanes; an equal number below may be any count


@dataclass(frozen=True, slots=True)
class Exposure:
    """A constexpr in the place of a number: a block's size, a loop's stages, or a name that a kernel sets itself."""

    name: str = "expose-knob"
    intent: str = "let the tuner move a number that a kernel holds"

    def sites(self, program: Program) -> Iterator[Site]:
        """Find such numbers in kernels that the program launches."""
        started = {launch.kernel.scope for launch in program.launches}
        for kernel in program.kernels.values():
            if kernel.scope in started:
                yield from _sizes(program, kernel)
                yield from _stages(program, kernel)
                yield from _named(program, kernel)


def _sizes(program: Program, kernel: Kernel) -> Iterator[Site]:
    """Find the sizes of blocks written as numbers; equal numbers of one kernel are one size."""
    body = list(descend(program.function(kernel).body))
    ranges = [n for n in body if isinstance(n, cst.Call) and dotted(n.func, "arange") and len(n.args) == 2]
    sizes = {int(n.args[1].value.value, 0) for n in ranges if isinstance(n.args[1].value, cst.Integer)}
    for size in sorted(s for s in sizes if s >= SMALLEST):
        name = fresh_name(program, kernel, "BLOCK" if len(sizes) == 1 else f"BLOCK_{size}")
        edits: list[tuple[Path, Edit]] = [
            (program.tree.path(n), partial(_becoming, text=name))
            for n in body
            if isinstance(n, cst.Integer) and n.evaluated_value == size
        ]
        yield _site(program, kernel, name, size, edits)


def _stages(program: Program, kernel: Kernel) -> Iterator[Site]:
    """Find the stages of loops, each a knob of its own."""
    names: list[str] = []
    for _, over, home in program.loops():
        stages = keyword(over, "num_stages")
        if home is kernel and stages is not None and isinstance(stages.value, cst.Integer):
            name = fresh_name(program, kernel, "STAGES", names)
            names.append(name)
            edits: list[tuple[Path, Edit]] = [(program.tree.path(stages.value), partial(_becoming, text=name))]
            yield _site(program, kernel, name, stages.value.evaluated_value, edits)


def _named(program: Program, kernel: Kernel) -> Iterator[Site]:
    """Find names that a kernel sets to a number, and that sound like a choice."""
    for name, values in kernel.scope.bindings.items():
        value = values[0] if len(values) == 1 else None
        if not isinstance(value, cst.Integer) or name in kernel.positional or name in kernel.constexprs:
            continue
        line, _ = program.tree.parent(program.tree.parent(value)[0])
        alone = isinstance(line, cst.SimpleStatementLine) and len(line.body) == 1
        sort = knob_values.kind(name, value.evaluated_value, name in kernel.facts.ranged, kernel.facts.dots)
        if alone and sort is not None and len(program.place(line)[0].body) > 1:  # type: ignore[attr-defined]
            yield _site(program, kernel, name, value.evaluated_value, [(program.tree.path(line), removed)])


def _site(program: Program, kernel: Kernel, name: str, value: int, edits: list[tuple[Path, Edit]]) -> Site:
    return Site(f"{kernel.name}.{name} = {value}", (*edits, adding_constexpr(program, kernel, name, value)))


def _becoming(node: cst.CSTNode, text: str) -> cst.BaseExpression:
    return expression(text)
