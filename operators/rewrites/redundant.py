"""What was computed or loaded before, under the same name from the same values, is not done again; dead stores go."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import libcst as cst

from operators.rewrites.effects import has_effects, reads_memory
from operators.rewrites.printing import code
from operators.rewrites.program import Program, Site, bound, removed
from operators.rewrites.stores import overwritten
from operators.walking import named, of_kind, size


@dataclass(frozen=True, slots=True)
class Redundant:
    """Drops an assignment that gives a name the value it has, and a store that is overwritten before it is read."""

    name: str = "drop-redundant"
    intent: str = "load and compute once what is there already, store only what stays"

    def sites(self, program: Program) -> Iterator[Site]:
        """Find both within one block, with nothing in between that could change or see what matters."""
        for kernel in program.kernels.values():
            for block in of_kind(program.function(kernel).body, cst.IndentedBlock):
                for index in sorted({*_repeated(program, block), *overwritten(program, block)}):
                    line = block.body[index]
                    yield Site(program.text(line), ((program.tree.path(line), removed),))


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
    known, every = _Known(), [_assignment(line) for line in block.body]
    again = Counter(one[0] for one in every if one is not None)
    times = Counter((one[0], _outline(one[1])) for one in every if one is not None and again[one[0]] > 1)
    alike = {outline for (_, outline), count in times.items() if count > 1}
    if not alike:
        return
    for index, (line, assigned) in enumerate(zip(block.body, every, strict=True)):
        if assigned is None:
            _forget(program, line, known)
            continue
        name, value = assigned
        if has_effects(program, value):
            _forget(program, line, known)
            continue
        if _outline(value) not in alike:  # nothing is the same as this, and to write it takes long
            known.changed(name)
            continue
        names = sorted(named(value))
        loads = reads_memory(value)
        key = (code(value), known.memory if loads else None, tuple(known.versions.get(n, 0) for n in names))
        if known.values.get(key) == (name, known.versions.get(name, 0)) and name not in names:
            yield index
        else:
            version = known.changed(name)
            if name not in names:
                known.values[key] = (name, version)


def _outline(value: cst.BaseExpression) -> tuple[int, frozenset[str]]:
    """Return what values of the same text have in common, and of others few have."""
    return size(value), named(value)


def _assignment(line: cst.CSTNode) -> tuple[str, cst.BaseExpression] | None:
    """Return the name and value of a line that is one plain assignment."""
    if type(line) is not cst.SimpleStatementLine or len(line.body) != 1:
        return None
    one = line.body[0]
    if type(one) is not cst.Assign or len(one.targets) != 1 or type(one.targets[0].target) is not cst.Name:
        return None
    return one.targets[0].target.value, one.value


def _forget(program: Program, line: cst.CSTNode, known: _Known) -> None:
    """Take note of everything that a statement may change."""
    for name in bound(line):
        known.changed(name)
    if has_effects(program, line):
        known.memory += 1
