"""What a loop computes alike in every turn, computed once before it."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import libcst as cst

from operators.launches import Kernel
from operators.rewrites.effects import has_effects, reads_memory
from operators.rewrites.program import Program, Site, binds, removed
from operators.rewrites.splicing import Insertion
from operators.walking import descend


@dataclass(frozen=True, slots=True)
class Hoist:
    """Moves an assignment out of a loop that changes nothing it reads."""

    name: str = "hoist-invariant"
    intent: str = "compute before a loop what is the same in every turn"

    def sites(self, program: Program) -> Iterator[Site]:
        """Find assignments to names bound once, of values without effects, loads and names that the loop binds."""
        for loop, _, kernel in program.loops():
            block, place = program.place(loop)
            for line in loop.body.body:
                if _invariant(program, line, loop, kernel):
                    made = partial(_moved, line)
                    path = program.tree.path(block)
                    added = Insertion(path, place, program.tree.module.code_for_node(line), made)
                    yield Site(program.text(line), ((program.tree.path(line), removed),), (added,))


def _invariant(program: Program, line: cst.CSTNode, loop: cst.For, kernel: Kernel) -> bool:
    one = line.body[0] if isinstance(line, cst.SimpleStatementLine) and len(line.body) == 1 else None
    if not isinstance(one, cst.Assign) or len(one.targets) != 1 or len(loop.body.body) < 2:
        return False
    target = one.targets[0].target
    if not isinstance(target, cst.Name) or len(kernel.scope.bindings.get(target.value, ())) != 1:
        return False
    for node in descend(one.value):
        if isinstance(node, cst.Name) and (node.value == target.value or binds(loop, node.value)):
            return False
        if isinstance(node, cst.Call) and isinstance(node.func, cst.Name):
            return False
    return not has_effects(program, one.value) and not reads_memory(one.value)


def _moved(line: Any) -> tuple[cst.BaseStatement, ...]:
    return (line,)
