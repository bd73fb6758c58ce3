"""Launches along one axis: how many programs they have, in a name that the launcher and the kernel can use."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

import libcst as cst

from operators.launches import Kernel, Launch
from operators.program_tree import Edit, Path, Scope, copied, edited, names_in, passing
from operators.remembering import remembered
from operators.rewrites.printing import code
from operators.rewrites.program import Program, dotted, numbered, open_to_keywords
from operators.rewrites.special import passed, replaced, walk
from operators.rewrites.splicing import Insertion
from operators.rewrites.templates import expression, statement, statements
from operators.walking import descend, of_kind


@dataclass(frozen=True, slots=True)
class Count:
    """The number of programs of a launch, as its launcher can compute it.

    `blocks`: what the launch passes for constexprs that the number depends on; `lines` give names to numbers.
    """

    text: str
    blocks: Mapping[str, str]
    lines: tuple[str, ...]


@remembered
def own_numbers(program: Program, kernel: Kernel) -> tuple[cst.Call, ...]:
    """Return every `tl.program_id(0)` of a kernel that asks for nothing else of its grid and never ends early.

    Nothing is returned for any other kernel.
    """
    asked = [call for call in kernel.scope.calls if dotted(call.func, "program_id", "num_programs")]
    called = [program.known.get(getattr(call.func, "value", "")) for call in kernel.scope.calls]
    if any(not dotted(call.func, "program_id") or axis_of(call) != 0 for call in asked):
        return ()
    if any(other is not None and other.facts.called & {"program_id", "num_programs"} for other in called):
        return ()
    function = program.function(kernel)
    early = _ends(function) or any(program.place(call)[0] is not function.body for call in asked)
    return () if early else tuple(asked)


@remembered
def _ends(function: cst.FunctionDef) -> bool:
    return bool(of_kind(function.body, cst.Return) or of_kind(function.body, cst.Yield))


def asking_first(program: Program, kernel: Kernel, name: str, text: str | None = None) -> cst.FunctionDef:
    """Return a kernel's definition whose first statement gives the number of the program a name.

    `text` takes the places that the number had, the name where it is None.
    """
    function, asked = program.function(kernel), own_numbers(program, kernel)
    named = replaced(function, asked.__contains__, partial(becoming, text=text or name), (cst.Call,))
    body = [statement(f"{name} = tl.program_id(0)"), *named.body.body]
    return copied(named, {"body": copied(named.body, {"body": body})})


@remembered
def launched(program: Program, kernel: Kernel) -> tuple[Launch, ...]:
    """Return the launches of a kernel, none where it may also be reached in another way."""
    found = tuple(launch for launch in program.launches if launch.kernel.scope is kernel.scope)
    plain = kernel.set_above is not None and all(open_to_keywords(launch.call) for launch in found)
    return found if plain and kernel.name not in _called(program) else ()


@remembered
def _called(program: Program) -> frozenset[str]:
    """Return the names of all functions that are called by a name."""
    return frozenset(call.func.value for call, _ in program.tree.calls if type(call.func) is cst.Name)


def counted(program: Program, launch: Launch) -> Count | None:
    """Return the number of programs of a launch with one axis, None where it cannot be told."""
    grid = _grid(launch)
    if grid is None:
        return None
    body, meta = grid
    blocks: dict[str, str] = {}
    lines: list[str] = []
    edits: list[tuple[Path, Edit]] = []
    for path, node in walk(body):
        if type(node) is not cst.Subscript or not _is(node.value, meta):
            continue
        name = _key(node)
        told = blocks.get(name) or given(program, launch, name, lines)
        if told is None:
            return None
        blocks[name] = told
        edits.append((path, partial(becoming, text=blocks[name])))
    plain = edited(body, edits)
    if meta and any(_is(node, meta) for node in descend(plain)):
        return None
    return Count(code(plain), blocks, tuple(lines))


def relaunched(program: Program, kernel: Kernel, grid: str,
               name: str) -> tuple[list[tuple[Path, Edit]], list[Insertion]] | None:  # fmt: skip
    """Return what gives all launches of a kernel another grid, and passes the number of programs they had as `name`.

    `grid` holds `programs` for that number.
    """
    edits: list[tuple[Path, Edit]] = []
    added: list[Insertion] = []
    found = launched(program, kernel)
    place = parameter_place(program.function(kernel).params)
    for launch in found:
        count = counted(program, launch)
        if count is None or sum(a.keyword is None for a in launch.call.args) > place:
            return None
        number = fresh_in(program, launch.scope, "programs")
        lines = (*count.lines, f"{number} = {count.text}")
        values = {**count.blocks, name: number}
        edits.append(
            (program.tree.path(launch.call), partial(relaunching, grid=grid.format(programs=number), values=values))
        )
        added.append(before(program, launch.call, lines))
    return (edits, added) if found else None


def given(program: Program, launch: Launch, name: str, lines: list[str]) -> str | None:
    """Return a text for what a constexpr gets: a number gets a name, so that the tuner moves all its uses at once.

    The line that gives it joins `lines`.
    """
    value = _given(launch, name)
    if value is None or type(value) is cst.Integer:
        new = fresh_in(program, launch.scope, f"{name.lower()}_size")
        lines += [f"{new} = {value.value}"] if value is not None else []
        return new if value is not None else None
    text = code(value)
    return text if isinstance(value, (cst.Name, cst.Call)) else f"({text})"


def before(program: Program, node: cst.CSTNode, lines: tuple[str, ...]) -> Insertion:
    """Return the insertion of lines before the statement that a node is part of."""
    block, index = program.place(node)
    return Insertion(program.tree.path(block), index, "\n".join(lines), partial(statements, *lines))


def relaunching(call: cst.Call, grid: str, values: Mapping[str, str], kernel: str | None = None) -> cst.Call:
    """Return a launch with another grid, other values or new ones for some keywords, and perhaps of another kernel."""
    assert isinstance(call.func, cst.Subscript)
    index = cst.SubscriptElement(cst.Index(expression(grid)))
    own = call.func.value if kernel is None else cst.Name(kernel)
    known = {a.keyword.value for a in call.args if a.keyword is not None}
    changed = [
        copied(a, {"value": expression(values[a.keyword.value])}) if a.keyword and a.keyword.value in values else a
        for a in call.args
    ]
    new = copied(call, {"func": copied(call.func, {"value": own, "slice": [index]}), "args": changed})
    for name, text in values.items():
        if name not in known:
            new = passing(new, name, expression(text))
    return new


def parameter_place(parameters: cst.Parameters) -> int:
    """Return where one more parameter without a default can stand."""
    optional = [n for n, p in enumerate(parameters.params) if p.default is not None]
    return optional[0] if optional else len(parameters.params)


def with_parameter(parameters: cst.Parameters, name: str) -> cst.Parameters:
    """Return parameters with one more that has no default."""
    place, params = parameter_place(parameters), list(parameters.params)
    spaced = cst.Comma(whitespace_after=cst.SimpleWhitespace(" "))
    new = cst.Param(cst.Name(name), comma=spaced)
    if place == len(params) and params:
        new = new.with_changes(comma=params[-1].comma, whitespace_after_param=params[-1].whitespace_after_param)
        params[-1] = params[-1].with_changes(comma=spaced, whitespace_after_param=cst.SimpleWhitespace(""))
    return parameters.with_changes(params=(*params[:place], new, *params[place:]))


def fresh_in(program: Program, scope: Scope, wanted: str) -> str:
    """Return a name that a launcher does not use, as near to what is wanted as can be."""
    taken = set().union(*(names_in(outer) for outer in scope.chain()))
    return next(name for name in numbered(wanted) if name not in taken)


def _grid(launch: Launch) -> tuple[cst.BaseExpression, str] | None:
    """Return the one element of a grid, and the name that a function of constexprs gives them."""
    assert isinstance(launch.call.func, cst.Subscript)
    parts = launch.call.func.slice
    only = parts[0].slice if len(parts) == 1 else None
    node: cst.CSTNode | None = only.value if type(only) is cst.Index else None
    if type(node) is cst.Name:
        values = launch.scope.bound(node.value)
        node = values[0] if len(values) == 1 else None
    meta = ""
    if type(node) is cst.Lambda and len(node.params.params) == 1:
        meta, node = node.params.params[0].name.value, node.body
    if not isinstance(node, (cst.Tuple, cst.List)) or len(node.elements) != 1:
        return None
    element = node.elements[0]
    return (element.value, meta) if type(element) is cst.Element else None


def _given(launch: Launch, name: str) -> cst.BaseExpression | None:
    """Return what a constexpr is passed by its name, or its default."""
    if not any(a.keyword is not None and a.keyword.value == name for a in launch.call.args):
        default = launch.kernel.constexprs.get(name)
        return None if name in launch.kernel.positional and passed(launch, name) is not None else default
    return passed(launch, name)


def _key(node: cst.Subscript) -> str:
    only = node.slice[0].slice if len(node.slice) == 1 else None
    value = only.value if type(only) is cst.Index else None
    return str(value.raw_value) if type(value) is cst.SimpleString else ""


def becoming(node: cst.CSTNode, text: str) -> cst.BaseExpression:
    """Put an expression in the place of a node."""
    return expression(text)


def _is(node: cst.CSTNode, name: str) -> bool:
    return type(node) is cst.Name and node.value == name


def axis_of(call: cst.Call) -> int | None:
    """Return the axis of the grid that a call asks of."""
    value = call.args[0].value if len(call.args) == 1 else None
    return int(value.value, 0) if type(value) is cst.Integer else None
