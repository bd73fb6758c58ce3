"""Python's range as Triton's, which can pipeline a loop of its own accord, and back."""

from collections.abc import Iterator
from dataclasses import dataclass

import libcst as cst

from operators.launches import Kernel
from operators.program_tree import Edit, Path
from operators.rewrites.program import (
    Program,
    Site,
    adding,
    adding_constexpr,
    dotted,
    fresh_name,
    keyword,
    open_to_keywords,
)
from operators.rewrites.templates import expression

STAGES = (2, 3, 4)


@dataclass(frozen=True, slots=True)
class TritonRange:
    """tl.range with a number of stages in the place of range, and range in the place of tl.range.

    The number is a constexpr with a default, as a launch's own stages say nothing to such a loop: it stays tunable.
    """

    name: str = "range-stages"
    intent: str = "pipeline one loop with stages of its own, or no longer"

    def sites(self, program: Program) -> Iterator[Site]:
        """Find loops; each number of stages is a choice."""
        names: dict[str, list[str]] = {}
        for group, (_, over, kernel) in enumerate(program.loops(), 1):
            path, said = program.tree.path(over), program.text(over)
            if not open_to_keywords(over):
                continue
            if dotted(over.func, "range"):
                placed = sum(a.keyword is None for a in over.args)  # the fourth are the stages
                if 1 <= placed <= 4 and all(a.keyword is None or a.keyword.value == "num_stages" for a in over.args):
                    yield Site(f"{said} as range", ((path, _plain),), group=group)
            elif not dotted(over.func, "static_range") and keyword(over, "num_stages") is None:
                given = names.setdefault(kernel.name, [])
                given.append(fresh_name(program, kernel, "STAGES", given))
                for stages in STAGES:
                    edits = _staged(program, kernel, path, given[-1], stages)
                    yield Site(f"{said} with {stages} stages", edits, group=group)


def _staged(program: Program, kernel: Kernel, path: Path, name: str, stages: int) -> tuple[tuple[Path, Edit], ...]:
    """Return the edits that give a loop stages: by a constexpr, or as a number in a helper that nothing launches."""
    if all(launch.kernel is not kernel for launch in program.launches):
        return ((path, _Staged(str(stages))),)
    return (path, _Staged(name)), adding_constexpr(program, kernel, name, stages)


@dataclass(frozen=True, slots=True)
class _Staged:
    stages: str

    def __call__(self, call: cst.Call) -> cst.Call:
        return adding("num_stages", self.stages)(call.with_changes(func=expression("tl.range")))


def _plain(call: cst.Call) -> cst.Call:
    kept = [a for a in call.args if a.keyword is None][:3]
    last = kept[-1].with_changes(comma=cst.MaybeSentinel.DEFAULT)
    return call.with_changes(func=cst.Name("range"), args=(*kept[:-1], last))
