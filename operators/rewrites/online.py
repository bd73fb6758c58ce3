"""Two passes over a row that only gather statistics as one, and back: a row is read once, or each pass does less."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Any

import libcst as cst

from operators.launches import Kernel
from operators.rewrites.effects import shows_effects
from operators.rewrites.printing import code
from operators.rewrites.program import Program, Site, bound, dotted, fresh_name
from operators.rewrites.reductions import bounds
from operators.rewrites.templates import expression, statement
from operators.walking import descend


@dataclass(frozen=True, slots=True)
class Passes:
    """Two loops of one block over the same range, and what they hold."""

    block: cst.IndentedBlock
    first: int
    second: int

    @property
    def loops(self) -> tuple[cst.For, cst.For]:
        """Return both loops."""
        one, two = self.block.body[self.first], self.block.body[self.second]
        assert isinstance(one, cst.For)
        assert isinstance(two, cst.For)
        return one, two

    @property
    def between(self) -> Sequence[cst.BaseStatement]:
        """Return what stands between them."""
        return self.block.body[self.first + 1 : self.second]


@dataclass(frozen=True, slots=True)
class OnePass:
    """A running maximum whose sum of powers follows it, or a running mean and squares around it (Welford)."""

    name: str = "one-pass-statistics"
    intent: str = "gather a row's statistics in one pass"

    def sites(self, program: Program) -> Iterator[Site]:
        """Find a maximum and a sum of powers below it, or a mean and a sum of squares around it."""
        for kernel in program.kernels.values():
            for passes in _passes(program, kernel):
                for read in (_softmax, _moments):
                    body = read(program, kernel, passes)
                    if body is not None:
                        edit = partial(_with_body, body=body)
                        yield Site(f"passes of {kernel.name}", ((program.tree.path(passes.block), edit),))


@dataclass(frozen=True, slots=True)
class TwoPass:
    """A maximum first, then the sum below it."""

    name: str = "two-pass-statistics"
    intent: str = "find the maximum in a pass of its own, so that no sum has to follow it"

    def sites(self, program: Program) -> Iterator[Site]:
        """Find loops that end in `new = tl.maximum(top, x); total = ... + term; top = new`."""
        for loop, _, kernel in program.loops():
            lines = _split_up(loop)
            block, index = program.place(loop)
            if lines is not None and type(block) is cst.IndentedBlock:
                body = (*block.body[:index], *lines, *block.body[index + 1 :])
                yield Site(f"the pass of {kernel.name}", ((program.tree.path(block), partial(_with_body, body=body)),))


def _passes(program: Program, kernel: Kernel) -> Iterator[Passes]:
    block = program.function(kernel).body
    if type(block) is not cst.IndentedBlock:
        return
    places = [n for n, line in enumerate(block.body) if type(line) is cst.For]
    for first, second in pairwise(places):
        passes = Passes(block, first, second)
        one, two = passes.loops
        alike = code(one.iter) == code(two.iter) and code(one.target) == code(two.target)
        plain = all(_one(line) is not None for loop in passes.loops for line in loop.body.body)
        lines = all(type(line) is cst.SimpleStatementLine for line in passes.between)
        quiet = not any(shows_effects(program, line) for line in (one, *passes.between, two))  # what is read stays
        if alike and plain and bounds(one) and lines and quiet:
            yield passes


def _softmax(program: Program, kernel: Kernel, passes: Passes) -> Sequence[cst.BaseStatement] | None:
    """Join `top = maximum(top, x)` and `total += f(x - max(top))`."""
    one, two = passes.loops
    last, more = _one(one.body.body[-1]), _one(two.body.body[-1])
    peak = _maximum(last)
    if peak is None or not _adds(more) or _texts(one)[:-1] != _texts(two)[:-1]:
        return None
    name, value = peak
    assert isinstance(more, cst.AugAssign)
    total, term = code(more.target), more.value
    tops = [line for line in passes.between if _value(line) in (f"tl.max({name}, axis=0)", f"tl.max({name})")]
    zeros = [line for line in passes.between if bound(line) == (total,) and _value(line).startswith("tl.zeros(")]
    reads = sum(r.value == name for r in kernel.scope.reads)
    if len(tops) != 1 or len(zeros) != 1 or reads != 2 or code(value) not in _parts(term):
        return None
    top = bound(tops[0])[0]
    if not {n.value for n in descend(_put(term, {code(value): "z"})) if type(n) is cst.Name} <= {"tl", "z", top}:
        return None
    new, held, kept = (fresh_name(program, kernel, n) for n in ("higher", "value", "kept"))
    power = {k: code(_put(term, {code(value): k, top: t})) for k, t in ((held, new), (name, new))}
    after = code(_put(term, {code(value): name}))
    lines = (
        f"{held} = {code(value)}",
        f"{new} = tl.maximum({name}, {held})",
        f"{kept} = tl.where({name} == {new}, {total}, {total} * {power[name]})",
        f'{total} = {kept} + tl.where({held} == float("-inf"), 0.0, {power[held]})',
        f"{name} = {new}",
    )
    loop = one.with_changes(body=one.body.with_changes(body=[*one.body.body[:-1], *map(statement, lines)]))
    between = [line for line in passes.between if line is not zeros[0]]
    rescaled = statement(f"{total} = {total} * {after}")
    head = [*passes.block.body[: passes.first], zeros[0].with_changes(leading_lines=[])]
    return [*head, loop, *between, rescaled, *passes.block.body[passes.second + 1 :]]


def _moments(program: Program, kernel: Kernel, passes: Passes) -> Sequence[cst.BaseStatement] | None:
    """Join `total += x` and `square += where(mask, x - mean, 0) ** 2`."""
    one, two = passes.loops
    last, more, centred = _one(one.body.body[-1]), _one(two.body.body[-1]), _one(two.body.body[-2])
    if not _adds(last) or not _adds(more) or type(centred) is not cst.Assign:
        return None
    assert isinstance(last, cst.AugAssign)
    assert isinstance(more, cst.AugAssign)
    total, square, around = code(last.target), code(more.target), bound(centred)[0]
    means = [line for line in passes.between if _value(line).startswith(f"tl.sum({total}, axis=0) / ")]
    zeros = [line for line in passes.between if bound(line) == (square,) and _value(line).startswith("tl.zeros(")]
    start = [line for line in passes.block.body[: passes.first] if bound(line) == (total,)]
    where = centred.value
    if len(means) != 1 or len(zeros) != 1 or len(start) != 1 or code(more.value) != f"{around} * {around}":
        return None
    mean, count = bound(means[0])[0], _value(means[0]).partition(" / ")[2]
    if type(where) is not cst.Call or not dotted(where.func, "where") or len(where.args) != 3:
        return None
    mask, off = code(where.args[0].value), where.args[1].value
    value = off.left if type(off) is cst.BinaryOperation and type(off.operator) is cst.Subtract else None
    if value is None or code(off.right) != mean or code(where.args[2].value) not in ("0.0", "0"):  # type: ignore[attr-defined]
        return None
    if (
        _told(one, code(last.value)) != _told(two, code(value))
        or sum(r.value == total for r in kernel.scope.reads) != 1
    ):
        return None
    seen, inside = (fresh_name(program, kernel, n) for n in ("seen", "inside"))
    x = code(value)
    lines = (
        f"{inside} = {mask}",
        f"{seen} += tl.where({inside}, 1.0, 0.0)",
        f"{around} = tl.where({inside}, {x} - {total}, 0.0)",
        f"{total} += {around} / tl.maximum({seen}, 1.0)",
        f"{square} += {around} * tl.where({inside}, {x} - {total}, 0.0)",
    )
    loop = two.with_changes(
        body=two.body.with_changes(body=[*two.body.body[:-2], *map(statement, lines)]), leading_lines=one.leading_lines
    )
    joined = (f"{mean} = tl.sum({total} * {seen}, axis=0) / {count}",
             f"{square} += {seen} * ({total} - {mean}) * ({total} - {mean})")  # fmt: skip
    between: list[cst.BaseStatement] = []
    for line in (line for line in passes.between if line is not zeros[0]):
        between += map(statement, joined) if line is means[0] else [line]
    head = [*passes.block.body[: passes.first], zeros[0].with_changes(leading_lines=[])]
    head.append(statement(f"{seen} = {_value(start[0])}"))
    return [*head, loop, *between, *passes.block.body[passes.second + 1 :]]


def _split_up(loop: cst.For) -> Sequence[cst.BaseStatement] | None:
    """Return a loop for the maximum and one for the sum, where a loop holds both."""
    ends = [_one(line) for line in loop.body.body]
    moved = ends[-1] if len(ends) > 3 else None
    if None in ends or type(moved) is not cst.Assign or type(moved.value) is not cst.Name:
        return None
    new, top = moved.value.value, code(moved.targets[0].target)
    places = [n for n, end in enumerate(ends) if _sets(end, new)]
    made = ends[places[0]] if len(places) == 1 else None
    larger = made.value if type(made) is cst.Assign else None
    if type(larger) is not cst.Call or not dotted(larger.func, "maximum") or len(larger.args) != 2:
        return None
    others = [code(a.value) for a in larger.args if code(a.value) != top]
    sums = ends[places[0] + 1 : -1]
    added = sums[-1] if sums else None
    if len(others) != 1 or type(added) is not cst.Assign or len(bound(loop)) < 4:
        return None
    term, total = added.value, code(added.targets[0].target)
    if type(term) is not cst.BinaryOperation or type(term.operator) is not cst.Add:
        return None
    if total in _parts(term.right) or not all(total in _parts(_assigned(s)) for s in sums[:-1]):
        return None
    setup = loop.body.body[: places[0]]
    if any(top in _parts(_assigned(_one(s))) or total in _parts(_assigned(_one(s))) for s in setup):
        return None
    first = statement(f"{top} = tl.maximum({top}, {others[0]})")
    second = statement(f"{total} += {code(_put(term.right, {new: top}))}")
    bare = loop.with_changes(leading_lines=[])
    return [
        loop.with_changes(body=loop.body.with_changes(body=[*setup, first])),
        bare.with_changes(body=loop.body.with_changes(body=[*setup, second])),
    ]


def _one(line: cst.CSTNode) -> cst.BaseSmallStatement | None:
    alone = type(line) is cst.SimpleStatementLine and len(line.body) == 1
    small = line.body[0] if alone and type(line) is cst.SimpleStatementLine else None
    single = type(small) is cst.AugAssign or (
        type(small) is cst.Assign and len(small.targets) == 1 and type(small.targets[0].target) is cst.Name
    )
    return small if single else None


def _assigned(small: cst.BaseSmallStatement | None) -> cst.BaseExpression:
    return small.value if isinstance(small, (cst.Assign, cst.AugAssign)) else cst.Name("_")


def _sets(small: cst.BaseSmallStatement | None, name: str) -> bool:
    return type(small) is cst.Assign and code(small.targets[0].target) == name


def _value(line: cst.CSTNode) -> str:
    one = _one(line)
    return code(one.value) if type(one) is cst.Assign else ""


def _texts(loop: cst.For) -> list[str]:
    return [code(one) for line in loop.body.body if (one := _one(line)) is not None]


def _told(loop: cst.For, text: str) -> tuple[str, ...]:
    """Return an expression with the names that a loop binds replaced by their values, and how it ranges."""
    for line in reversed(loop.body.body):
        one = _one(line)
        if type(one) is cst.Assign:
            text = code(_put(cst.parse_expression(text), {code(one.targets[0].target): f"({code(one.value)})"}))
    return (text.replace("(", "").replace(")", ""),)


def _maximum(small: cst.BaseSmallStatement | None) -> tuple[str, cst.BaseExpression] | None:
    """Return the name and the value of `name = tl.maximum(name, value)`."""
    value = small.value if type(small) is cst.Assign else None
    if type(value) is not cst.Call or not dotted(value.func, "maximum") or len(value.args) != 2:
        return None
    assert isinstance(small, cst.Assign)
    name = code(small.targets[0].target)
    others = [a.value for a in value.args if code(a.value) != name]
    return (name, others[0]) if len(others) == 1 else None


def _adds(small: cst.BaseSmallStatement | None) -> bool:
    return type(small) is cst.AugAssign and type(small.operator) is cst.AddAssign


def _parts(node: cst.BaseExpression) -> set[str]:
    return {code(n) for n in descend(node) if isinstance(n, cst.BaseExpression)}


def _put(node: cst.BaseExpression, values: dict[str, str]) -> cst.BaseExpression:
    """Return an expression with parts replaced, told by their text."""
    made: Any = node.visit(_Putting(values))
    return made  # type: ignore[no-any-return]


class _Putting(cst.CSTTransformer):
    def __init__(self, values: dict[str, str]) -> None:
        super().__init__()
        self._values = values

    def on_leave(self, original_node: Any, updated_node: Any) -> Any:
        wanted = self._values.get(code(original_node)) if isinstance(original_node, cst.BaseExpression) else None
        return expression(wanted) if wanted else super().on_leave(original_node, updated_node)


def _with_body(block: Any, body: Sequence[cst.BaseStatement]) -> Any:
    return block.with_changes(body=body)
