"""Pointers that a loop moves on, or offsets computed anew in every turn: fewer operations, or fewer registers."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import libcst as cst

from operators.program_tree import Edit, Path
from operators.rewrites.printing import code
from operators.rewrites.program import Program, Site, bound, dotted, fresh_name, removed
from operators.rewrites.reductions import bounds, moves_evenly
from operators.rewrites.splicing import Insertion
from operators.rewrites.sums import addends, joined, lanes_of
from operators.rewrites.templates import expression, statement
from operators.walking import named, of_kind


@dataclass(frozen=True, slots=True)
class Recomputed:
    """`p + start * stride` in every turn in the place of `p += BLOCK * stride` at its end."""

    name: str = "recompute-offsets"
    intent: str = "compute addresses from the loop's variable, so that turns do not wait for one another"

    def sites(self, program: Program) -> Iterator[Site]:
        """Find names that a loop moves on by the same amount in every turn, and that nothing reads later."""
        for loop, _, kernel in program.loops():
            told = bounds(loop)
            if told is None or type(loop.target) is not cst.Name:
                continue
            turn, names = loop.target.value, set(bound(loop))
            for place, line in enumerate(loop.body.body):
                one = line.body[0] if type(line) is cst.SimpleStatementLine and len(line.body) == 1 else None
                if type(one) is not cst.AugAssign or type(one.target) is not cst.Name:
                    continue
                every = program.tree.reads.get((kernel.scope, one.target.value), ())
                reads = {name for name, scope in every if scope is kernel.scope}
                before = [n for part in loop.body.body[:place] for n in of_kind(part, cst.Name) if n in reads]
                within = [n for n in of_kind(loop.body, cst.Name) if n in reads]
                late = _read_later(program, loop, one.target.value)
                once = len(kernel.scope.bindings.get(one.target.value, ())) == 2
                if moves_evenly(one, names) and once and len(before) == len(within) > 0 and not late:
                    offset = _offset(one.value, told[1], turn)
                    edit = partial(_moved, offset=offset)
                    edits: list[tuple[Path, Edit]] = [(program.tree.path(n), edit) for n in before]
                    yield Site(program.text(one), ((program.tree.path(line), removed), *edits))


@dataclass(frozen=True, slots=True)
class Bumped:
    """`ptrs += BLOCK` at the end of every turn in the place of offsets from the loop's variable."""

    name: str = "bump-pointers"
    intent: str = "move pointers on instead of computing them anew in every turn"

    def sites(self, program: Program) -> Iterator[Site]:
        """Find addresses that are a sum of what the loop leaves alone and of one block's offsets in it."""
        names: dict[tuple[str, str, str], str] = {}
        for call, kernel in program.calls("load", "store"):
            loops = program.within(call)
            loop = loops[0] if loops else None
            told = bounds(loop) if type(loop) is cst.For else None
            if told is None or type(loop) is not cst.For or program.place(call)[0] is not loop.body:
                continue
            address, step = call.args[0].value, code(told[1])
            lane = _lane(address, loop, step)
            if lane is not None:
                wanted = f"{_root(address)}_{'from' if dotted(call.func, 'load') else 'to'}"
                key = (kernel.name, wanted, code(address))
                same = sum(k[:2] == key[:2] for k in names)
                name = names.setdefault(key, fresh_name(program, kernel, f"{wanted}_{same + 1}" if same else wanted))
                yield _bumped(program, address, lane, loop, name, step)


def _bumped(program: Program, address: cst.BaseExpression, lane: cst.BaseExpression, loop: cst.For, name: str,
            step: str) -> Site:  # fmt: skip
    """Return the site that gives an address a pointer of its own, which moves on with a loop."""
    rest = [part for part in addends(address) if part is not lane]
    first = statement(f"{name} = x", x=joined([*rest, lanes_of(step)]))
    last = statement(f"{name} += {step}")
    block, index = program.place(loop)
    end = len(loop.body.body)
    return Site(
        program.text(address),
        ((program.tree.path(address), partial(_becoming, text=name)),),
        (
            Insertion(program.tree.path(block), index, f"{name} = {code(address)}", partial(_one, first)),
            Insertion(program.tree.path(loop.body), end, f"{name} += {code(address)}", partial(_one, last)),
        ),
    )


def _lane(address: cst.BaseExpression, loop: cst.For, step: str) -> cst.BaseExpression | None:
    """Return the part of an address that is a name for `start + tl.arange(0, BLOCK)`, if the others stay the same."""
    names, parts = set(bound(loop)), addends(address)
    moving = [p for p in parts if not names.isdisjoint(named(p))]
    lane = moving[0] if len(moving) == 1 < len(parts) else None
    if type(lane) is not cst.Name or type(loop.target) is not cst.Name:
        return None
    values = [n.value for n in of_kind(loop, cst.Assign) if lane.value in bound(n)]
    offsets, turn = code(lanes_of(step)), loop.target.value
    single = len(values) == 1 == bound(loop).count(lane.value)
    return lane if single and code(values[0]) in (f"{turn} + {offsets}", f"{offsets} + {turn}") else None


def _read_later(program: Program, loop: cst.For, name: str) -> bool:
    block, index = program.place(loop)
    later = block.body[index + 1 :]  # type: ignore[attr-defined]
    return any(name in named(line) for line in later)


def _offset(amount: cst.BaseExpression, step: cst.BaseExpression, turn: str) -> cst.BaseExpression:
    """Return how far a name has moved before a turn."""
    if code(amount) == code(step):
        return cst.Name(turn)
    if type(amount) is cst.BinaryOperation and type(amount.operator) is cst.Multiply:
        for one, other in ((amount.left, amount.right), (amount.right, amount.left)):
            if code(one) == code(step):
                return expression(f"tl.cast({turn}, tl.int64) * x", x=other)
    return expression(f"tl.cast({turn}, tl.int64) // y * x", x=amount, y=step)


def _moved(name: cst.Name, offset: cst.BaseExpression) -> cst.BaseExpression:
    return expression("(p + x)", p=name, x=offset.with_changes(lpar=[], rpar=[]))


def _root(address: cst.BaseExpression) -> str:
    name = next((n.value for n in of_kind(address, cst.Name)), "x")
    return name.removesuffix("_ptr")


def _becoming(node: cst.CSTNode, text: str) -> cst.BaseExpression:
    return expression(text)


def _one(line: cst.BaseStatement) -> tuple[cst.BaseStatement, ...]:
    return (line,)
