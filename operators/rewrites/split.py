"""Long sums dealt out to several programs, with a second kernel that joins their parts: few rows then fill a chip."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import libcst as cst

from operators.launches import Kernel, Launch
from operators.program_tree import Edit, Path
from operators.rewrites.printing import code
from operators.rewrites.program import Program, Site, constexpr_added, fresh_name
from operators.rewrites.programs import (
    asking_first,
    counted,
    fresh_in,
    given,
    launched,
    own_numbers,
    relaunching,
    with_parameter,
)
from operators.rewrites.reductions import Reduction, Sum, joined_once, reductions
from operators.rewrites.special import line_of, passed, replaced
from operators.rewrites.splicing import Insertion
from operators.rewrites.templates import ATOMS, expression, statement

SPLITS = 8  # parts of a row or tile at first; the tuner moves it
TAKEN = {"SPLITS", "parts_ptr", "part"}  # names that both kernels get
FEW = {False: 2048, True: 256}  # programs, of rows or of tiles, that leave a chip with room for more


@dataclass(frozen=True, slots=True)
class TwoLevel:
    """Blocks whose lanes, or those of each row, are joined after a loop: each part leaves one number, or one a row."""

    name: str = "two-level-reduction"
    intent: str = "split a long sum over several programs and join their parts in a second kernel"

    def sites(self, program: Program) -> Iterator[Site]:
        """Find loops that only add up blocks of which one number or one column is needed."""
        yield from _sites(program, tiles=False)


@dataclass(frozen=True, slots=True)
class SplitK:
    """Tiles, mostly of matrix products: each part leaves a tile."""

    name: str = "split-k"
    intent: str = "split the inner dimension of a product over several programs and add their tiles in a second kernel"

    def sites(self, program: Program) -> Iterator[Site]:
        """Find loops that only add to a tile."""
        yield from _sites(program, tiles=True)


def _sites(program: Program, tiles: bool) -> Iterator[Site]:
    for kernel in program.kernels.values():
        if not own_numbers(program, kernel) or TAKEN & {*kernel.positional, *kernel.scope.bindings}:
            continue
        for found in reductions(program, kernel):
            site = _Split(program, kernel, found, tiles).site() if _fits(program, kernel, found, tiles) else None
            if site is not None:
                yield site
                break


def _fits(program: Program, kernel: Kernel, found: Reduction, tiles: bool) -> bool:
    after = tuple(program.function(kernel).body.body[found.place + 1 :])
    joined = [joined_once(after, one) for one in found.sums]
    first = found.sums[0]
    if tiles:
        return joined == [False] and len(first.shape) == 2 and first.kind == "sum"
    return all(joined) and len(first.shape) <= 2 and len({(one.shape, one.dtype) for one in found.sums}) == 1


@dataclass(frozen=True, slots=True)
class _Split:
    """One loop of a kernel to be dealt out."""

    program: Program
    kernel: Kernel
    found: Reduction
    tiles: bool  # a part leaves a tile, and no number or column

    def site(self) -> Site | None:
        """Return the two kernels and the launches of both, None where a launch cannot be told."""
        program, name = self.program, self.kernel.name
        function = program.function(self.kernel)
        block, index = program.place(function)
        launches = launched(program, self.kernel)
        taken = program.tree.top.bindings
        if not launches or block is not program.tree.module or {f"{name}_parts", f"{name}_joined"} & taken.keys():
            return None
        edits: list[tuple[Path, Edit]] = []
        added = [Insertion((), index + 1, name, self._kernels)]
        for launch in launches:
            told = self._launched(launch)
            if told is None:
                return None
            edits.append(told[0])
            added.append(told[1])
        return Site(f"the loop of {name} over {program.text(self.found.size)}", tuple(edits), tuple(added))

    def _launched(self, launch: Launch) -> tuple[tuple[Path, Edit], Insertion] | None:
        program = self.program
        count, line = counted(program, launch), line_of(program, launch.call)
        near = next((v for p in launch.kernel.positional if "ptr" in p and (v := passed(launch, p))), None)
        if count is None or line is None or not isinstance(near, cst.Name):
            return None
        blocks, lines = {**count.blocks}, list(count.lines)
        sizes = [_size(program, launch, name, blocks, lines) for name in self._left()]
        if not all(sizes):
            return None
        names = {n: fresh_in(program, launch.scope, n) for n in ("programs", "splits", "spread", "parts")}
        size, dtype = " * ".join(["{spread}", *sizes, *self._each()]), self.found.sums[0].dtype
        texts = (
            "{splits} = " + str(SPLITS),
            "{spread} = {programs} * {splits}",
            "{parts} = torch.empty((" + size + f",), dtype=torch.{dtype}, device=" + near.value + ".device)",
        )
        lines.append(f"{names['programs']} = {count.text}")
        block, index = program.place(line)
        added = Insertion(program.tree.path(block), index, "\n".join(lines), lambda: tuple(map(statement, lines)))
        edit = partial(
            _choosing,
            kernel=self.kernel.name,
            names=names,
            lines=[t.format(**names) for t in texts],
            blocks=blocks,
            few=FEW[self.tiles],
        )
        return (program.tree.path(line), edit), added

    def _left(self) -> tuple[str, ...]:
        """Return the shape of what a part leaves of a sum, nothing where that is one number."""
        shape = self.found.sums[0].shape
        return shape if self.tiles else shape[:-1]

    def _each(self) -> tuple[str, ...]:
        count = len(self.found.sums)
        return (str(count),) if count > 1 else ()

    def _kernels(self) -> tuple[cst.BaseStatement, ...]:
        name, lines = self.kernel.name, [cst.EmptyLine(indent=False)] * 2
        number = fresh_name(self.program, self.kernel, "program")
        made = []
        for suffix, function in (("parts", self._parts(number)), ("joined", self._joined(number))):
            parameters = constexpr_added(with_parameter(function.params, "parts_ptr"), "SPLITS", SPLITS)
            changes = {"name": cst.Name(f"{name}_{suffix}"), "leading_lines": lines, "params": parameters}
            made.append(function.with_changes(**changes))
        return tuple(made)

    def _parts(self, number: str) -> cst.FunctionDef:
        """Let every part take each SPLITS-th block of the loop, and leave what it added up."""
        found = self.found
        function = asking_first(self.program, self.kernel, number, f"({number} // SPLITS)")
        body: list[Any] = list(function.body.body[: found.place + 1])
        body.append(statement(f"part = {number} % SPLITS"))
        body += [cst.SimpleStatementLine([bump.with_changes(value=_ahead(bump.value))]) for bump in found.bumps]
        loop: Any = replaced(found.loop, found.bumps.__contains__, _farther, (cst.AugAssign,))  # type: ignore[arg-type]
        body.append(loop.with_changes(iter=_dealt(loop.iter, found.step)))
        body += [statement(line) for line in self._stored(number)]
        return function.with_changes(body=function.body.with_changes(body=body))

    def _joined(self, number: str) -> cst.FunctionDef:
        """Give what follows the loop the parts in the place of the sums."""
        function, place = asking_first(self.program, self.kernel, number), self.found.place + 1
        lines = [statement(line) for line in self._loaded(number)]
        body = [*function.body.body[:place], *lines, *function.body.body[place + 1 :]]
        return function.with_changes(body=function.body.with_changes(body=body))

    def _stored(self, number: str) -> list[str]:
        if self.tiles:
            (one,) = self.found.sums
            return [f"tl.store(parts_ptr + {number}.to(tl.int64) * {_tile(one)}, {one.name})"]
        axis = 1 if self._left() else 0
        return [
            f"tl.store(parts_ptr + {self._at(number, n)}, tl.{one.kind}({one.name}, axis={axis}))"
            for n, one in enumerate(self.found.sums)
        ]

    def _loaded(self, number: str) -> list[str]:
        if self.tiles:
            (one,) = self.found.sums
            part = f"tl.load(parts_ptr + ({number}.to(tl.int64) * SPLITS + part) * {_tile(one)})"
            return [f"for part in range(SPLITS):\n    {one.name} += {part}\n"]
        parts = f"({number} * SPLITS + tl.arange(0, SPLITS){'[None, :]' if self._left() else ''})"
        return [f"{one.name} = tl.load(parts_ptr + {self._at(parts, n)})" for n, one in enumerate(self.found.sums)]

    def _at(self, part: str, number: int) -> str:
        """Return where the number or column of one sum of a part lies among those of all sums."""
        count = len(self.found.sums)
        place = part if count == 1 else f"{part} * {count} + {number}"
        if not self._left():
            return place
        (rows,), view = self._left(), "[:, None]" if "[None, :]" in part else ""
        whole = place if count == 1 else f"({place})"
        return f"{whole} * {rows} + tl.arange(0, {rows}){view}"


def _size(program: Program, launch: Launch, name: str, blocks: dict[str, str], lines: list[str]) -> str:
    """Return what a launch passes for a constexpr, nothing where that cannot be told; by a name if it has to be new."""
    if name not in launch.kernel.constexprs:
        return ""
    if name not in blocks:
        told, value = given(program, launch, name, lines), passed(launch, name)
        if told is None:
            text = "" if value is None else code(value)
            return text if value is None or isinstance(value, ATOMS) else f"({text})"
        blocks[name] = told
    return blocks[name]


def _tile(one: Sum) -> str:
    """Return the size of a tile, and the offsets in it."""
    rows, columns = one.shape
    return f"({rows} * {columns}) + tl.arange(0, {rows})[:, None] * {columns} + tl.arange(0, {columns})[None, :]"


def _ahead(amount: cst.BaseExpression) -> cst.BaseExpression:
    return expression("part * x", x=amount)


def _farther(bump: cst.AugAssign) -> cst.AugAssign:
    return bump.with_changes(value=expression("x * SPLITS", x=bump.value))


def _dealt(call: Any, step: cst.BaseExpression) -> cst.Call:
    named = [a for a in call.args if a.keyword is not None]
    plain = [a.with_changes(comma=cst.MaybeSentinel.DEFAULT) for a in call.args if a.keyword is None][:2]
    single = code(step) == "1"
    start = expression("part") if single else expression("part * x", x=step)
    far = expression("SPLITS") if single else expression("x * SPLITS", x=step)
    new: cst.Call = call.with_changes(args=(plain[0].with_changes(value=start), plain[1], cst.Arg(far), *named))
    return new


def _choosing(line: Any, kernel: str, names: dict[str, str], lines: list[str], blocks: dict[str, str],
              few: int) -> cst.If:  # fmt: skip
    """Return a choice between a launch as it is and the launches of the two kernels where programs are few."""
    call = line.body[0].value
    bare = line.with_changes(leading_lines=[])
    passing = {**blocks, "parts_ptr": names["parts"], "SPLITS": names["splits"]}
    spread = relaunching(call, f"({names['spread']},)", passing, f"{kernel}_parts")
    joined = relaunching(call, f"({names['programs']},)", passing, f"{kernel}_joined")
    return cst.If(
        test=expression(f"{names['programs']} < {few}"),
        body=cst.IndentedBlock(
            [*map(statement, lines), *(bare.with_changes(body=[cst.Expr(c)]) for c in (spread, joined))]
        ),
        orelse=cst.Else(cst.IndentedBlock([bare])),
        leading_lines=line.leading_lines,
    )
