"""One kernel as two: what comes after a loop starts anew, with what it needs of the first half in a buffer."""

from collections import Counter
from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import libcst as cst

from operators.launches import Kernel, Launch
from operators.program_tree import Edit, Path
from operators.remembering import remembered
from operators.rewrites.effects import has_effects, reads_memory
from operators.rewrites.floats import is_narrow_float
from operators.rewrites.printing import code
from operators.rewrites.program import Program, Site, bound, dotted, fresh_name
from operators.rewrites.programs import (
    asking_first,
    counted,
    fresh_in,
    launched,
    own_numbers,
    relaunching,
    with_parameter,
)
from operators.rewrites.special import line_of, passed
from operators.rewrites.splicing import Insertion
from operators.rewrites.templates import statement
from operators.walking import named, of_kind

CUTS = 16  # looked at in a kernel: each is a pass over its lines
JOINING = ("sum", "max", "min")
SCALAR = ("sqrt", "rsqrt", "exp", "exp2", "log", "log2", "maximum", "minimum", "abs", "cdiv", "cast", "program_id")


@dataclass(frozen=True, slots=True)
class Halves:
    """A kernel cut in two: names that the second half works out again, and numbers that the first half leaves it."""

    cut: int
    again: frozenset[str]
    left: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Divided:
    """A second kernel for what follows, with its own number of warps and, later, its own blocks."""

    name: str = "split-kernel"
    intent: str = "launch two kernels that can be shaped apart in the place of one"

    def sites(self, program: Program) -> Iterator[Site]:
        """Find loops that need no more of what was before them than single numbers, which float32 holds."""
        for group, kernel in enumerate(program.kernels.values(), 1):
            asked = own_numbers(program, kernel)
            if not asked or "kept_ptr" in kernel.positional or "parts_ptr" in kernel.positional:
                continue
            body = program.function(kernel).body.body
            loops = [n for n, line in enumerate(body) if type(line) is cst.For]
            for cut in loops[1 : CUTS + 1]:
                halves = _halves(program, kernel, body, cut)
                kept = halves and all(is_narrow_float(program, kernel, name) for name in halves.left)
                site = _site(program, kernel, halves, group) if halves and kept else None
                if site:
                    yield site


def _halves(program: Program, kernel: Kernel, body: Sequence[Any], cut: int) -> Halves | None:
    values = {name: line.body[0].value for line in body[:cut] if (name := _named(line))}
    early = Counter(name for line in body[:cut] for name in bound(line))
    once = {name: value for name, value in values.items() if early[name] == 1}
    scalars = _scalars(once, (*kernel.positional, *kernel.constexprs))
    late: set[str] = set()
    needed: list[str] = []
    for line in body[cut:]:
        needed += [name for name in _each_read(line) if name in early and name not in late]
        late |= set() if type(line) is cst.For else set(bound(line))
    inner = {n for line in body[cut:] if type(line) is cst.For for n in _first_bound(line)}
    again: set[str] = set()
    left: list[str] = []
    queue = [name for name in dict.fromkeys(needed) if name not in inner]
    queued = set(queue)
    for name in queue:  # grows on the way
        if name not in once:
            return None
        if _cheap(program, values[name]):
            again.add(name)
            new = [n for n in _read(values[name]) if n in early and n not in queued]
            queue += new
            queued.update(new)
        elif _scalar(values[name], scalars):
            left.append(name)
        else:
            return None
    return Halves(cut, frozenset(again), tuple(left)) if left else None


def _scalars(values: dict[str, Any], parameters: Sequence[str]) -> set[str]:
    """Return the names that stand for single numbers; a name comes before those whose values read it."""
    known = set(parameters)
    for name, value in values.items():
        if _scalar(value, known):
            known.add(name)
    return known


@remembered
def _first_bound(loop: cst.For) -> list[str]:
    """List the names that a loop binds before it reads them."""
    read: set[str] = set()
    found = [n.value for n in of_kind(loop.target, cst.Name)]
    for line in loop.body.body:
        one = line.body[0] if type(line) is cst.SimpleStatementLine else line
        read |= named(one) - (set(bound(one)) - set(_read(one.value)) if type(one) is cst.Assign else set())
        found += [n for n in bound(one) if n not in read] if type(one) is cst.Assign else []
    return found


def _named(line: cst.CSTNode) -> str:
    """Return the name that a line gives a value to, if that is all it does."""
    one = line.body[0] if type(line) is cst.SimpleStatementLine and len(line.body) == 1 else None
    target = one.targets[0].target if type(one) is cst.Assign and len(one.targets) == 1 else None
    return target.value if type(target) is cst.Name else ""


@remembered
def _read(node: cst.CSTNode) -> tuple[str, ...]:
    return tuple(n.value for n in of_kind(node, cst.Name))


@remembered
def _each_read(node: cst.CSTNode) -> tuple[str, ...]:
    """List the names in a node once each: the lines after a cut are gone through for every cut."""
    return tuple(dict.fromkeys(_read(node)))


def _cheap(program: Program, value: cst.BaseExpression) -> bool:
    """Tell whether a value can be worked out again without effects, memory or joining of lanes."""
    calls = of_kind(value, cst.Call)
    if any(type(c.func) is cst.Name or dotted(c.func, "dot", "rand", *JOINING) for c in calls):
        return False
    return not has_effects(program, value) and not reads_memory(value)


def _scalar(node: Any, known: Container[str]) -> bool:
    """Tell whether a value is one number, as some names are, in kernels whose blocks have one dimension."""
    if isinstance(node, (cst.Integer, cst.Float)):
        return True
    if type(node) is cst.Name:
        return node.value in known
    if type(node) is cst.BinaryOperation:
        return _scalar(node.left, known) and _scalar(node.right, known)
    if type(node) is cst.Call and dotted(node.func, *JOINING):
        return len(node.args) == 1 or (len(node.args) == 2 and code(node.args[1].value) == "0")
    if type(node) is cst.Call and dotted(node.func, *SCALAR):
        return all(_scalar(a.value, known) for a in node.args)
    if type(node) is cst.Call and type(node.func) is cst.Attribute and node.func.attr.value == "to":
        return _scalar(node.func.value, known)
    return False


def _site(program: Program, kernel: Kernel, halves: Halves, group: int) -> Site | None:
    function, name = program.function(kernel), kernel.name
    block, index = program.place(function)
    taken = program.tree.top.bindings
    found = launched(program, kernel)
    if not found or block is not program.tree.module or {f"{name}_first", f"{name}_rest"} & taken.keys():
        return None
    edits: list[tuple[Path, Edit]] = []
    added = [Insertion((), index + 1, f"{name} {halves.cut}", partial(_kernels, program, kernel, halves))]
    for launch in found:
        told = _launched(program, launch, halves)
        if told is None:
            return None
        edits.append(told[0])
        added.append(told[1])
    return Site(f"{name} before its loop in statement {halves.cut}", tuple(edits), tuple(added), group=group)


def _kernels(program: Program, kernel: Kernel, halves: Halves) -> tuple[cst.BaseStatement, ...]:
    number = fresh_name(program, kernel, "program")
    function, count = asking_first(program, kernel, number), len(halves.left)
    head, *body = function.body.body
    again = [line for line in body[: halves.cut] if _named(line) in halves.again]
    at = f"kept_ptr + {number}" if count == 1 else f"kept_ptr + {number} * {count}"
    places = [f"{at} + {n}" if count > 1 else at for n in range(count)]
    stores = [statement(f"tl.store({place}, {name})") for place, name in zip(places, halves.left, strict=True)]
    loads = [statement(f"{name} = tl.load({place})") for place, name in zip(places, halves.left, strict=True)]
    bodies = {"first": [head, *body[: halves.cut], *stores], "rest": [head, *again, *loads, *body[halves.cut :]]}
    parameters = with_parameter(function.params, "kept_ptr")
    lines = [cst.EmptyLine(indent=False)] * 2
    return tuple(
        function.with_changes(
            name=cst.Name(f"{function.name.value}_{suffix}"), leading_lines=lines, params=parameters,
            body=function.body.with_changes(body=some),
        )
        for suffix, some in bodies.items()
    )  # fmt: skip


def _launched(program: Program, launch: Launch, halves: Halves) -> tuple[tuple[Path, Edit], Insertion] | None:
    """Return the launches of both halves; None where the number of programs cannot be told."""
    count, line = counted(program, launch), line_of(program, launch.call)
    near = next((v for p in launch.kernel.positional if "ptr" in p and (v := passed(launch, p))), None)
    place = sum(a.keyword is None for a in launch.call.args)
    names = [p.name.value for p in with_parameter(program.function(launch.kernel).params, "kept_ptr").params]
    if count is None or line is None or type(near) is not cst.Name or place > names.index("kept_ptr"):
        return None
    block, index = program.place(line)
    kept = fresh_in(program, launch.scope, "kept")
    size = count.text if len(halves.left) == 1 else f"({count.text}) * {len(halves.left)}"
    blocks = dict(count.blocks)
    room = f"{kept} = torch.empty(({size},), dtype=torch.float32, device={near.value}.device)"
    first = partial(_launching, True, f"{launch.kernel.name}_first", blocks, kept)
    made = Insertion(
        program.tree.path(block), index, f"{launch.label} {kept}",
        lambda: (*map(statement, (*count.lines, room)), first(line)),
    )  # fmt: skip
    return (program.tree.path(line), partial(_launching, False, f"{launch.kernel.name}_rest", blocks, kept)), made


def _launching(first: bool, kernel: str, blocks: dict[str, str], kept: str, line: Any) -> Any:
    call = line.body[0].value
    grid = code(call.func.slice[0].slice.value)
    new = relaunching(call, grid, {**blocks, "kept_ptr": kept}, kernel)
    changes: dict[str, Any] = {} if first else {"leading_lines": []}
    return line.with_changes(body=[cst.Expr(new)], **changes)
