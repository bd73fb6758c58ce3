"""Loads and stores without masks where every block is full, with the masked kernel kept for all else."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import libcst as cst

from operators.launches import Kernel, Launch
from operators.rewrites.hints import multiple, sized
from operators.rewrites.printing import code
from operators.rewrites.program import ATOMS, Program, Site, dotted, keyword
from operators.rewrites.special import Choice, passed, replaced, specialised

Full = tuple[str, str]  # a size and the block that must divide it: parameters of a kernel


@dataclass(frozen=True, slots=True)
class Unmasked:
    """A kernel without masks, launched where blocks divide sizes."""

    name: str = "drop-masks"
    intent: str = "leave masks out where every block is full"

    def sites(self, program: Program) -> Iterator[Site]:
        """Find kernels all of whose masks say that offsets within blocks stay below a size."""
        for kernel in program.kernels.values():
            wanted = _wanted(program, kernel)
            if not wanted or kernel.name.endswith("_full"):
                continue
            said = " and ".join(f"{size} % {block}" for size, block in sorted(wanted))
            unmasked = partial(replaced, found=_masked, edit=_bare)
            site = specialised(program, kernel, "full", unmasked, partial(_divides, wanted=wanted), said)
            if site is not None:
                yield site


def _masked(node: cst.CSTNode) -> bool:
    return isinstance(node, cst.Call) and dotted(node.func, "load", "store") and keyword(node, "mask") is not None


def _bare(call: cst.Call) -> cst.Call:
    kept = [a for a in call.args if a.keyword is None or a.keyword.value not in ("mask", "other")]
    comma: Any = call.args[-1].comma
    return call.with_changes(args=(*kept[:-1], kept[-1].with_changes(comma=comma)))


def _wanted(program: Program, kernel: Kernel) -> set[Full] | None:
    """Return what must be divisible for all masks of a kernel to hold, None where one cannot be told."""
    found: set[Full] = set()
    for call, home in program.calls("load", "store"):
        mask = keyword(call, "mask")
        if home.scope is not kernel.scope or mask is None:
            continue
        told = _conditions(program, kernel, mask.value)
        if told is None:
            return None
        found |= told
    return found


def _conditions(program: Program, kernel: Kernel, mask: cst.CSTNode) -> set[Full] | None:
    if isinstance(mask, cst.BinaryOperation) and isinstance(mask.operator, cst.BitAnd):
        left, right = (_conditions(program, kernel, side) for side in (mask.left, mask.right))
        return None if left is None or right is None else left | right
    if isinstance(mask, cst.Subscript):
        return _conditions(program, kernel, mask.value)
    if isinstance(mask, cst.Name):
        found: set[Full] = set()
        for value in kernel.scope.bindings.get(mask.value, [None]):
            told = None if value is None else _conditions(program, kernel, value)
            if told is None:
                return None
            found |= told
        return found
    if not isinstance(mask, cst.Comparison) or len(mask.comparisons) != 1:
        return None
    only = mask.comparisons[0]
    offsets = mask.left.value if isinstance(mask.left, cst.Subscript) else mask.left
    if not isinstance(only.operator, cst.LessThan) or not isinstance(offsets, cst.Name):
        return None
    blocks = {_block(program, value) for value in kernel.scope.bindings.get(offsets.value, [None])}
    block = blocks.pop() if len(blocks) == 1 else None
    size = None if block is None else _size(program, kernel, only.comparator, block)
    return None if size is None or block is None else {(size, block)}


def _block(program: Program, value: cst.CSTNode | None) -> str | None:
    """Return the block that offsets count through, if they begin at a multiple of it."""
    if isinstance(value, cst.BinaryOperation) and isinstance(value.operator, cst.Add):
        block = sized(value.right)
        return block if block is not None and multiple(program, value.left, block) else None
    return sized(value) if isinstance(value, cst.Call) else None


def _size(program: Program, kernel: Kernel, bound: cst.BaseExpression, block: str) -> str | None:
    """Return the parameter that a bound is, also where what a loop has done is taken off it."""
    if not isinstance(bound, cst.Name):
        return None
    if bound.value in kernel.positional:
        return bound.value
    values = kernel.scope.bindings.get(bound.value, [])
    left = values[0] if len(values) == 1 else None
    if not isinstance(left, cst.BinaryOperation) or not isinstance(left.operator, cst.Subtract):
        return None
    whole = left.left
    named = isinstance(whole, cst.Name) and whole.value in kernel.positional
    return whole.value if named and isinstance(whole, cst.Name) and multiple(program, left.right, block) else None


def _divides(launch: Launch, wanted: set[Full]) -> Choice | None:
    tests, blocks = [], {}
    for size, block in sorted(wanted):
        given, by = passed(launch, size), passed(launch, block)
        named = any(a.keyword is not None and a.keyword.value == block for a in launch.call.args)
        if given is None or not isinstance(by, (cst.Integer, cst.Name)) or not named:
            return None
        # one name for the number in test and launches, or the tuner would move one of them
        name = by.value if isinstance(by, cst.Name) else f"{block.lower()}_size"
        blocks[block] = (name, None if isinstance(by, cst.Name) else by.value)
        plain = code(given)
        tests.append(f"{plain if isinstance(given, ATOMS) else f'({plain})'} % {name} == 0")
    return Choice(" and ".join(tests), both=blocks)
