"""Python's range as Triton's, which can pipeline a loop of its own accord, and back."""

from collections.abc import Iterator
from dataclasses import dataclass

import libcst as cst

from operators.rewrites.program import Program, Site, adding, dotted, expression, keyword, open_to_keywords

STAGES = (2, 3, 4)


@dataclass(frozen=True, slots=True)
class TritonRange:
    """tl.range with a number of stages in the place of range, and range in the place of tl.range."""

    name: str = "range-stages"
    intent: str = "pipeline one loop with stages of its own, or no longer"

    def sites(self, program: Program) -> Iterator[Site]:
        """Find loops; each number of stages is a choice."""
        for group, (_, over, _) in enumerate(program.loops(), 1):
            path, said = program.tree.path(over), program.text(over)
            if not open_to_keywords(over):
                continue
            if dotted(over.func, "range"):
                if all(a.keyword is None or a.keyword.value == "num_stages" for a in over.args):
                    yield Site(f"{said} as range", ((path, _plain),), group=group)
            elif not dotted(over.func, "static_range") and keyword(over, "num_stages") is None:
                for stages in STAGES:
                    yield Site(f"{said} with {stages} stages", ((path, _Staged(stages)),), group=group)


@dataclass(frozen=True, slots=True)
class _Staged:
    stages: int

    def __call__(self, call: cst.Call) -> cst.Call:
        return adding("num_stages", str(self.stages))(call.with_changes(func=expression("tl.range")))


def _plain(call: cst.Call) -> cst.Call:
    kept = [a for a in call.args if a.keyword is None]
    last = kept[-1].with_changes(comma=cst.MaybeSentinel.DEFAULT)
    return call.with_changes(func=cst.Name("range"), args=(*kept[:-1], last))
