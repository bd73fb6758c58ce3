"""A row in two blocks, the second as long as what the first leaves: no block is half empty, nothing is read again."""

from collections.abc import Iterator, KeysView, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import libcst as cst

from operators.launches import Kernel, Launch
from operators.program_tree import copied
from operators.remembering import remembered
from operators.rewrites.bounds import accesses, masks
from operators.rewrites.lanes import HINTS, REDUCING, lanes
from operators.rewrites.printing import code
from operators.rewrites.program import Program, Site, constexpr_added, dotted, fresh_name
from operators.rewrites.programs import own_numbers
from operators.rewrites.special import Choice, passed, replaced, specialised
from operators.rewrites.templates import ATOMS, expression
from operators.rewrites.whole import LARGEST, Over, flattened, over
from operators.walking import children, named, of_kind

JOINED = {"sum": "(x + y)", "max": "tl.maximum(x, y)", "min": "tl.minimum(x, y)"}
MADE = ("arange", "zeros", "full")  # blocks out of nothing
BLOCK = ""  # stands for one of them


class _Other(Exception):
    """A line is not of the kind that can be done twice."""


@dataclass(frozen=True, slots=True)
class Two:
    """A copy of a kernel of rows, launched where a row's length is no power of two.

    One block for a row of 4099 elements has 8192 lanes; two have 4096 and 4.
    """

    name: str = "row-in-two-blocks"
    intent: str = "hold a row in a block of the largest power of two below its length, and one for the rest"

    def sites(self, program: Program) -> Iterator[Site]:
        """Find kernels that loop over a row, or hold it in a block, and do nothing but join or change each element."""
        for kernel in program.kernels.values():
            row = None if "REST" in kernel.constexprs else _row(program, kernel)
            pair = None if row is None else _pair(program, kernel, row.block)
            if row is None or pair is None:
                continue
            site = specialised(
                program, kernel, "two", partial(_second, pair=pair),
                partial(_uneven, row=row, looping=kernel.scope.loops), f"rows of {row.size} in {kernel.name}",
            )  # fmt: skip
            if site is not None:
                yield site


def _row(program: Program, kernel: Kernel) -> Over | None:
    """Return the length of a kernel's rows and its block."""
    asked = own_numbers(program, kernel)
    row = over(program, kernel) if kernel.scope.loops else _masked(program, kernel)
    found = lanes(program, kernel, asked) if asked and row is not None else None
    if row is None or found is None:
        return None
    sizes = {code(call.args[-1].value) for call in found.ranges}
    return row if sizes == {row.block} else None


def _masked(program: Program, kernel: Kernel) -> Over | None:
    """Return what all masks of a kernel without loops say of a row and a block."""
    own = masks(program)[kernel.name]
    told = {(one.end, one.size) for _, mask in accesses(program.function(kernel)) for one in own.bounds(mask)}
    size, block = told.pop() if len(told) == 1 else ("", "")
    return Over(size, block) if size in kernel.positional and block in kernel.constexprs else None


def _uneven(launch: Launch, row: Over, looping: bool) -> Choice | None:
    """Return the choice for rows that are no power of two; a block must have been as long as a row or a loop's."""
    size, block = passed(launch, row.size), passed(launch, row.block)
    if size is None or block is None or not any(_is_named(a, row.block) for a in launch.call.args):
        return None
    text = code(size) if isinstance(size, ATOMS) else f"({code(size)})"
    values = launch.scope.bound(block.value) if type(block) is cst.Name else (block,)
    whole = len(values) == 1 and type(values[0]) is cst.Call and f"next_power_of_2({text}" in _flat(values[0])
    if not looping and not whole:
        return None
    half = f"triton.next_power_of_2({text}) // 2"
    rest = f"triton.next_power_of_2({text} - {half})"
    return Choice(f"2 < {text} <= {LARGEST} and {text} & ({text} - 1)", {row.block: half, "REST": rest})


def _is_named(argument: cst.Arg, name: str) -> bool:
    return argument.keyword is not None and argument.keyword.value == name


def _flat(call: cst.Call) -> str:
    return code(call).replace("max(", "")


def _second(function: cst.FunctionDef, pair: "_Pair") -> cst.FunctionDef:
    parameters = constexpr_added(function.params, "REST", 1)
    lines = [new for line in flattened(function).body.body for new in pair.both(line)]
    return copied(function, {"params": parameters, "body": copied(function.body, {"body": lines})})


def _pair(program: Program, kernel: Kernel, block: str) -> "_Pair | None":
    """Return which names of a kernel hold blocks; None where one of its lines cannot be done for two."""
    lines: list[Any] = list(flattened(program.function(kernel)).body.body)
    try:
        parts = [_small(line) for line in lines]
        wide = _wide(parts)
        pair = _Pair(block, {name: fresh_name(program, kernel, f"{name}_rest") for name in sorted(wide)})
        for part in parts:
            pair.check(part)
    except _Other:
        return None
    return pair


def _small(line: cst.CSTNode) -> Any:
    """Return the one assignment or call that a line is."""
    part = line.body[0] if type(line) is cst.SimpleStatementLine and len(line.body) == 1 else None
    target = _target(part)
    if not isinstance(part, (cst.Assign, cst.AugAssign, cst.Expr)) or not isinstance(target, (cst.Name, type(None))):
        raise _Other
    return part


def _target(part: cst.CSTNode | None) -> cst.CSTNode | None:
    if type(part) is cst.Assign:
        return part.targets[0].target if len(part.targets) == 1 else part
    return part.target if type(part) is cst.AugAssign else None


def _wide(parts: Sequence[Any]) -> set[str]:
    """Return the names that hold blocks; a name must hold nothing else."""
    wide: set[str] = set()
    waiting, before = [part for part in parts if _target(part) is not None], -1
    while len(wide) != before:
        before, left = len(wide), []
        for part in waiting:
            if _is_wide(part.value, wide):
                wide.add(_target(part).value)  # type: ignore[union-attr]
            else:
                left.append(part)
        waiting = left
    for part in parts:
        if type(part) is cst.Assign and part.targets[0].target.value in wide and not _is_wide(part.value, wide):  # type: ignore[attr-defined]
            raise _Other
    return wide


def _is_wide(node: cst.CSTNode, wide: set[str] | KeysView[str]) -> bool:
    """Tell whether an expression gives a block: something in it does, and no reduction is around that."""
    names = _outside(node)
    return BLOCK in names or not wide.isdisjoint(names)


@remembered
def _outside(node: cst.CSTNode) -> frozenset[str]:
    """Return the names that an expression reads outside of reductions, and BLOCK if it makes a block there."""
    if type(node) is cst.Name:
        return frozenset((node.value,))
    if not any(dotted(call.func, *MADE, *REDUCING) for call in of_kind(node, cst.Call)):
        return named(node)
    if type(node) is cst.Call and dotted(node.func, *MADE):
        return frozenset((BLOCK,))
    return frozenset() if _joins(node) else frozenset().union(*(_outside(child) for child in children(node)))


def _joins(node: cst.CSTNode) -> bool:
    return type(node) is cst.Call and dotted(node.func, *REDUCING)


@dataclass(frozen=True, slots=True)
class _Pair:
    """What the block is called, and what every name that holds one is called for the second."""

    block: str
    rest: dict[str, str]

    def check(self, part: Any) -> None:
        """Raise where a line is neither for each block alone nor joins whole blocks."""
        calls = of_kind(part, cst.Call)
        joining = [call for call in calls if _joins(call)]
        if self._each(part):
            joined = bool(joining)
        else:
            joined = sum(_joins(inner) for call in joining for inner in of_kind(call, cst.Call)) != len(joining)
        blocks = [name for name in of_kind(part, cst.Name) if name.value == self.block]
        made = [call for call in calls if dotted(call.func, *MADE, *HINTS)] if blocks else []
        inside = {name for call in made for name in of_kind(call, cst.Name)}
        if joined or not inside.issuperset(blocks):
            raise _Other

    def both(self, line: Any) -> list[Any]:
        """Return a line for both blocks, or once with what it joins of both."""
        if self._each(line.body[0]):
            return [line, copied(self.second(line), {"leading_lines": ()})]
        return [replaced(line, _joins, self._joined, (cst.Call,))]

    def second(self, node: Any) -> Any:
        """Return what a line or an expression is for the second block."""
        return replaced(node, self._differs, self._changed, (cst.Name, cst.Call))

    def _each(self, part: Any) -> bool:
        """Tell whether a line does something to each element of a block."""
        target = _target(part)
        return _is_wide(part.value, self.rest.keys()) or (target is not None and target.value in self.rest)  # type: ignore[attr-defined]

    def _differs(self, node: cst.CSTNode) -> bool:
        if type(node) is cst.Name:
            return node.value in self.rest or node.value == self.block
        return type(node) is cst.Call and dotted(node.func, "arange")

    def _changed(self, node: Any) -> cst.BaseExpression:
        if type(node) is cst.Call:
            return expression(f"({self.block} + x)", x=node)
        other: Any = copied(node, {"value": "REST" if node.value == self.block else self.rest[node.value]})
        return other  # type: ignore[no-any-return]

    def _joined(self, call: Any) -> cst.BaseExpression:
        return expression(JOINED[call.func.attr.value], x=call, y=self.second(call))
