"""A second kernel for the cases that allow it, and launches that choose between both by what they are given."""

from bisect import bisect_left
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import libcst as cst

from operators.launches import Kernel, Launch
from operators.program_tree import Edit, Path, copied, passing
from operators.rewrites.program import Program, Site
from operators.rewrites.splicing import Insertion
from operators.rewrites.templates import expression, statements
from operators.walking import descend, places_below, size, steps


@dataclass(frozen=True, slots=True)
class Choice:
    """When a launch is of the changed kernel: a test in the launcher's names.

    `changed`: what that launch passes for some parameters, also for such as only the changed kernel has.
    `both`: for parameters whose numbers are in the test too, a name that stands for each, and the number where the name
    is new.
    """

    test: str
    changed: Mapping[str, str] = field(default_factory=dict)
    both: Mapping[str, tuple[str, str | None]] = field(default_factory=dict)


Condition = Callable[[Launch], Choice | None]


def specialised(program: Program, kernel: Kernel, suffix: str, changes: Callable[[cst.FunctionDef], cst.FunctionDef],
                condition: Condition, what: str) -> Site | None:  # fmt: skip
    """Return the site that adds a changed copy of a kernel, launched where a condition holds.

    Where the condition of one launch cannot be told nothing is specialised.
    """
    name = f"{kernel.name}_{suffix}"
    launched = [launch for launch in program.launches if launch.kernel.scope is kernel.scope]
    function = program.function(kernel)
    block, index = _module_place(program, function)
    if not launched or name in program.tree.top.bindings or block is not program.tree.module:
        return None
    edits: list[tuple[Path, Edit]] = []
    added: list[Insertion] = []
    for launch in launched:
        told = condition(launch)
        line = line_of(program, launch.call)
        if told is None or line is None:
            return None
        edits.append((program.tree.path(line), Choosing(name, told)))
        added += _named(program, line, told)

    def changed() -> tuple[cst.BaseStatement, ...]:
        lines = [cst.EmptyLine(indent=False)] * 2
        return (copied(changes(function), {"name": cst.Name(name), "leading_lines": lines}),)

    return Site(what, tuple(edits), (Insertion((), index + 1, name, changed), *added))


def passed(launch: Launch, parameter: str) -> cst.BaseExpression | None:
    """Return what a launch passes for a parameter of its kernel."""
    for index, argument in enumerate(launch.call.args):
        if argument.star:
            return None
        name = argument.keyword.value if argument.keyword else None
        if name == parameter:
            return argument.value
        if name is None and index < len(launch.kernel.positional) and launch.kernel.positional[index] == parameter:
            return argument.value
    return None


def replaced(function: cst.FunctionDef, found: Callable[[cst.CSTNode], bool], edit: Edit,
             kinds: Collection[type] = ()) -> cst.FunctionDef:  # fmt: skip
    """Return a function with an edit made wherever something is found, looked for among nodes of some `kinds`."""
    every = enumerate(descend(function))
    places = [place for place, node in every if (not kinds or type(node) in kinds) and found(node)]
    changed: cst.FunctionDef = _rebuilt(function, 0, places, lambda node: edit) if places else function
    return changed


def each_replaced(node: Any, changes: Mapping[cst.CSTNode, Edit]) -> Any:
    """Return a node with an edit of its own made at each of some nodes in it; one may stand within another."""
    return _rebuilt(node, 0, places_below(node, changes), changes.__getitem__) if changes else node


def walk(node: cst.CSTNode, path: Path = ()) -> "list[tuple[Path, cst.CSTNode]]":
    """List a node and all below it, each with the steps down to it."""
    every: list[tuple[Path, cst.CSTNode]] = [(path, node)]
    for name, index, child in steps(node):
        every += walk(child, (*path, (name, index)))
    return every


def _rebuilt(node: Any, at: int, places: Sequence[int], edit: Callable[[cst.CSTNode], Edit]) -> Any:
    """Return a node that is in place `at`, with what is in some places below it edited, what is deeper first."""
    first, child_at = int(places[0] == at), at + 1
    changed: dict[str, Any] = {}
    done = first
    for name, index, child in steps(node) if done < len(places) else ():
        end = child_at + size(child)
        if places[done] < end:
            last = bisect_left(places, end, done)
            new = edit(child)(child) if end == child_at + 1 else _rebuilt(child, child_at, places[done:last], edit)
            if index is None:
                changed[name] = new
            else:
                changed.setdefault(name, list(getattr(node, name)))[index] = new
            done = last
            if done == len(places):
                break
        child_at = end
    new = copied(node, changed) if changed else node
    return edit(node)(new) if first else new


def _module_place(program: Program, function: cst.FunctionDef) -> tuple[cst.CSTNode, int]:
    parent, _ = program.tree.parent(function)
    body = getattr(parent, "body", ())
    return parent, list(body).index(function) if isinstance(body, (list, tuple)) else 0


def line_of(program: Program, call: cst.Call) -> cst.SimpleStatementLine | None:
    """Return the line that is nothing but a call."""
    parent, _ = program.tree.parent(call)
    line, _ = program.tree.parent(parent)
    alone = type(parent) is cst.Expr and type(line) is cst.SimpleStatementLine and len(line.body) == 1
    return line if alone and type(line) is cst.SimpleStatementLine else None


def _named(program: Program, line: cst.SimpleStatementLine, choice: Choice) -> list[Insertion]:
    """Return the assignments of new names before a launch."""
    block, index = program.place(line)
    lines = [f"{name} = {number}" for name, number in choice.both.values() if number is not None]
    return [Insertion(program.tree.path(block), index, text, partial(statements, text)) for text in lines]


@dataclass(frozen=True, slots=True)
class Choosing:
    """Turns a launch into a choice between it and one of another kernel."""

    name: str
    choice: Choice

    def __call__(self, line: Any) -> cst.If:
        """Return the choice in the place of a launch's line."""
        plain = _passing(copied(line, {"leading_lines": []}), {p: name for p, (name, _) in self.choice.both.items()})
        other = _passing(plain, self.choice.changed)
        call = other.body[0].value
        function = copied(call.func, {"value": cst.Name(self.name)})
        other = copied(other, {"body": [cst.Expr(copied(call, {"func": function}))]})
        return cst.If(
            test=expression(self.choice.test),
            body=cst.IndentedBlock([other]),
            orelse=cst.Else(cst.IndentedBlock([plain])),
            leading_lines=line.leading_lines,
        )


def _passing(line: Any, values: Mapping[str, str]) -> Any:
    """Return a launch that passes other values for some of its keywords, or new ones."""
    call = line.body[0].value
    arguments = [
        copied(a, {"value": expression(values[a.keyword.value])})
        if a.keyword is not None and a.keyword.value in values
        else a
        for a in call.args
    ]
    call = copied(call, {"args": arguments})
    known = {a.keyword.value for a in arguments if a.keyword is not None}
    for name in (name for name in values if name not in known):
        call = passing(call, name, expression(values[name]))
    return copied(line, {"body": [cst.Expr(call)]})
