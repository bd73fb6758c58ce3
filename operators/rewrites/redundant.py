"""What was computed or loaded before, under the same name from the same values, is not done again; dead stores go."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import libcst as cst

from operators.rewrites.effects import has_effects, reads_memory
from operators.rewrites.printing import code
from operators.rewrites.program import Program, Site, bound, removed
from operators.rewrites.stores import overwritten
from operators.walking import descend, named


@dataclass(frozen=True, slots=True)
class Redundant:
    """Drops an assignment that gives a name the value it has, and a store that is overwritten before it is read."""

    name: str = "drop-redundant"
    intent: str = "load and compute once what is there already, store only what stays"

    def sites(self, program: Program) -> Iterator[Site]:
        """Find both within one block, with nothing in between that could change or see what matters."""
        for kernel in program.kernels.values():
            for node in descend(program.function(kernel).body):
                if isinstance(node, cst.IndentedBlock):
                    for index in sorted({*_repeated(program, node), *overwritten(program, node)}):
                        yield Site(
                            program.text(node.body[index]),
                            ((program.tree.path(node.body[index]), removed),),
                        )


@dataclass(slots=True)
class _Known:
    """Which value every name has: a number that rises whenever it may have changed."""

    versions: dict[str, int] = field(default_factory=dict)
    memory: int = 0
    values: dict[tuple[Any, ...], tuple[str, int]] = field(default_factory=dict)

    def changed(self, name: str) -> int:
        self.versions[name] = self.versions.get(name, 0) + 1
        return self.versions[name]


def _repeated(program: Program, block: cst.IndentedBlock) -> Iterator[int]:
    known = _Known()
    for index, line in enumerate(block.body):
        assigned = _assignment(line)
        if assigned is None:
            _forget(program, line, known)
            continue
        name, value = assigned
        names = sorted(named(value))
        loads = reads_memory(value)
        text = code(value)
        key = (text, known.memory if loads else None, tuple(known.versions.get(n, 0) for n in names))
        if has_effects(program, value):
            _forget(program, line, known)
        elif known.values.get(key) == (name, known.versions.get(name, 0)) and name not in names:
            yield index
        else:
            version = known.changed(name)
            if name not in names:
                known.values[key] = (name, version)


def _assignment(line: cst.CSTNode) -> tuple[str, cst.BaseExpression] | None:
    """Return the name and value of a line that is one plain assignment."""
    if not isinstance(line, cst.SimpleStatementLine) or len(line.body) != 1:
        return None
    one = line.body[0]
    if not isinstance(one, cst.Assign) or len(one.targets) != 1 or not isinstance(one.targets[0].target, cst.Name):
        return None
    return one.targets[0].target.value, one.value


def _forget(program: Program, line: cst.CSTNode, known: _Known) -> None:
    """Take note of everything that a statement may change."""
    for name in bound(line):
        known.changed(name)
    if has_effects(program, line):
        known.memory += 1
