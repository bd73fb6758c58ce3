"""Neighbours that two loads fetch, each every second element, by one load: loads of single small elements are slow."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Any

import libcst as cst

from operators.launches import Kernel
from operators.program_tree import copied
from operators.rewrites.printing import code
from operators.rewrites.program import Program, Site, dotted, fresh_name
from operators.rewrites.sums import addends, counted_from, depend
from operators.rewrites.templates import expression, statement
from operators.walking import of_kind

HALVES = {"": "({0}.shape[0] // 2, 2)", "[None, :]": "({0}.shape[0], {0}.shape[1] // 2, 2)"}


@dataclass(frozen=True, slots=True)
class _Load:
    """`name = tl.load(...)`: the parts of its address, and all else that it is passed."""

    name: str
    parts: tuple[cst.BaseExpression, ...]
    rest: tuple[str, ...]
    call: cst.Call


@dataclass(frozen=True, slots=True)
class Pairs:
    """One load of twice as many elements, dealt out to both names, in the place of loads at `2 * i` and `2 * i + 1`."""

    name: str = "load-pairs"
    intent: str = "load neighbours together and tell them apart in registers"

    def sites(self, program: Program) -> Iterator[Site]:
        """Find such loads in lines that follow each other, under a mask that does not depend on i."""
        for kernel in program.kernels.values():
            for block in (n for n in of_kind(program.function(kernel).body, cst.IndentedBlock)):
                for first, second in pairwise(block.body):
                    site = _site(program, kernel, first, second)
                    if site is not None:
                        yield site


def _site(program: Program, kernel: Kernel, first: cst.CSTNode, second: cst.CSTNode) -> Site | None:
    one, other = _load(first), _load(second)
    if one is None or other is None or one.rest != other.rest or one.name == other.name:
        return None
    texts = [sorted(map(code, load.parts)) for load in (one, other)]
    doubled = next((part for part in one.parts if _doubled(part) is not None), None)
    name, view = (None if doubled is None else _doubled(doubled)) or ("", "")
    lanes = _lanes(kernel, name)
    others = [*(p for p in one.parts if p is not doubled), *(a.value for a in one.call.args[1:])]
    if texts[1] != sorted([*texts[0], "1"]) or lanes is None or view not in HALVES or depend(kernel, others, name):
        return None
    both = fresh_name(program, kernel, "both")
    address = expression(_joined([f"{lanes}{view}" if p is doubled else code(p) for p in one.parts]))
    edits = (
        (program.tree.path(first), partial(_loading, name=both, address=address)),
        (program.tree.path(second), partial(_dealing, names=(one.name, other.name), both=both, shape=HALVES[view])),
    )
    return Site(f"{one.name} and {other.name} of {kernel.name}", edits)


def _load(line: cst.CSTNode) -> _Load | None:
    """Read a line that gives one name to what it loads."""
    small = line.body[0] if isinstance(line, cst.SimpleStatementLine) and len(line.body) == 1 else None
    target = small.targets[0].target if isinstance(small, cst.Assign) and len(small.targets) == 1 else None
    call = small.value if isinstance(small, cst.Assign) else None
    if not isinstance(target, cst.Name) or not isinstance(call, cst.Call) or not dotted(call.func, "load"):
        return None
    if not call.args or call.args[0].keyword is not None:
        return None
    rest = tuple(code(a).rstrip(", ") for a in call.args[1:])
    return _Load(target.value, tuple(addends(call.args[0].value)), rest, call)


def _doubled(part: cst.BaseExpression) -> tuple[str, str] | None:
    """Return the name and the view of `2 * offs[None, :]`."""
    if not isinstance(part, cst.BinaryOperation) or not isinstance(part.operator, cst.Multiply):
        return None
    node = part.right if code(part.left) == "2" else part.left if code(part.right) == "2" else None
    inner = node.value if isinstance(node, cst.Subscript) else node
    return (inner.value, code(node).removeprefix(inner.value)) if node and isinstance(inner, cst.Name) else None


def _lanes(kernel: Kernel, name: str) -> str | None:
    """Return twice the offsets that a name stands for and those between, if it stands for `start + tl.arange(0, N)`."""
    told = counted_from(kernel, name)
    if told is None:
        return None
    twice = [code(expression("2 * x", x=start)) for start in told[0]]
    return f"({_joined([*twice, code(expression('tl.arange(0, 2 * x)', x=told[1]))])})"


def _joined(parts: list[str]) -> str:
    return " + ".join(parts)


def _loading(line: Any, name: str, address: cst.BaseExpression) -> Any:
    """Return a line that loads from another address under another name."""
    assign = line.body[0]
    call = copied(assign.value, {"args": [copied(assign.value.args[0], {"value": address}), *assign.value.args[1:]]})
    target = copied(assign.targets[0], {"target": cst.Name(name)})
    return copied(line, {"body": [copied(assign, {"targets": [target], "value": call})]})


def _dealing(line: Any, names: tuple[str, str], both: str, shape: str) -> Any:
    made: Any = statement(f"{', '.join(names)} = tl.split(tl.reshape({both}, {shape.format(both)}))")
    return copied(line, {"body": made.body})
