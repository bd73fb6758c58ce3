"""Neighbouring programs on one die of MI300: the hardware deals them out in turn, and each die has its own cache."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import libcst as cst

from operators.launches import Kernel
from operators.program_tree import Edit, Path
from operators.rewrites.program import Program, Site, adding_constexpr, dotted, fresh_name
from operators.rewrites.programs import axis_of, becoming, own_numbers
from operators.rewrites.splicing import Insertion
from operators.rewrites.templates import statements

DIES = 8  # of an MI300X; the tuner moves it


@dataclass(frozen=True, slots=True)
class Remapped:
    """A program's number dealt out so that each die gets a stretch of neighbours."""

    name: str = "xcd-remap"
    intent: str = "give each die neighbouring programs, which share its cache"

    def sites(self, program: Program) -> Iterator[Site]:
        """Find kernels that ask for the first axis alone: `pid = tl.program_id(0)`, or the call wherever it is used."""
        for kernel in program.kernels.values():
            axes = [call for call in kernel.scope.calls if dotted(call.func, "program_id")]
            if "DIES" in kernel.constexprs or any(axis_of(call) != 0 for call in axes):
                continue
            line = _assigned(program, axes[0]) if len(axes) == 1 else None
            if line is not None and isinstance(line.targets[0].target, cst.Name):
                yield self._site(program, kernel, line.targets[0].target.value, line)
            elif own_numbers(program, kernel):
                yield self._named(program, kernel, axes)

    def _named(self, program: Program, kernel: Kernel, axes: list[cst.Call]) -> Site:
        """Return the site that first gives the number a name."""
        pid = fresh_name(program, kernel, "pid")
        edits = tuple((program.tree.path(call), partial(becoming, text=pid)) for call in axes)
        return self._site(program, kernel, pid, axes[0], edits)

    def _site(
        self, program: Program, kernel: Kernel, pid: str, line: cst.CSTNode, edits: tuple[tuple[Path, Edit], ...] = ()
    ) -> Site:
        block, index = program.place(line)
        dies, every, dealt, rest = (fresh_name(program, kernel, n) for n in ("DIES", "every", "dealt", "rest"))
        lines = (
            *((f"{pid} = tl.program_id(0)",) if edits else ()),
            f"{every} = tl.num_programs(0)",
            f"{dealt}, {rest} = {every} // {dies}, {every} % {dies}",
            f"{pid} = {pid} % {dies} * {dealt} + tl.minimum({pid} % {dies}, {rest}) + {pid} // {dies}",
        )
        path: Path = program.tree.path(block)
        added = Insertion(path, index if edits else index + 1, every, partial(statements, *lines))
        return Site(program.text(line), (*edits, adding_constexpr(program, kernel, dies, DIES)), (added,))


def _assigned(program: Program, call: cst.Call) -> cst.Assign | None:
    """Return the assignment of a program's number, also where it is converted first."""
    node, _ = program.tree.parent(call)
    if isinstance(node, cst.Attribute) and node.attr.value == "to":
        converted, _ = program.tree.parent(node)
        node, _ = program.tree.parent(converted)
    return node if isinstance(node, cst.Assign) and len(node.targets) == 1 else None
