"""A second kernel for the cases that allow it, and launches that choose between both by what they are given."""

from collections.abc import Callable, Mapping
from typing import Any

import libcst as cst

from operators.launches import Kernel, Launch
from operators.program_tree import Edit, Path, edited, steps
from operators.rewrites.program import Insertion, Program, Site, expression

Condition = Callable[[Launch], "tuple[str, Mapping[str, str]] | None"]


def specialised(program: Program, kernel: Kernel, suffix: str, changes: Callable[[cst.FunctionDef], cst.FunctionDef],
                condition: Condition, what: str) -> Site | None:  # fmt: skip
    """Return the site that adds a changed copy of a kernel, launched where a condition holds.

    `condition` gives, for one launch, an expression in the launcher's names and what is passed for some parameters;
    None where it cannot be told, and then nothing is specialised.
    """
    name = f"{kernel.name}_{suffix}"
    launched = [launch for launch in program.launches if launch.kernel.scope is kernel.scope]
    function = program.function(kernel)
    block, index = _module_place(program, function)
    if not launched or name in program.tree.top.bindings or block is not program.tree.module:
        return None
    edits: list[tuple[Path, Edit]] = []
    for launch in launched:
        told = condition(launch)
        statement = _statement(program, launch.call)
        if told is None or statement is None:
            return None
        edits.append((program.tree.path(statement), _Choosing(name, told[0], dict(told[1]))))

    def copied() -> tuple[cst.BaseStatement, ...]:
        lines = [cst.EmptyLine(indent=False)] * 2
        return (changes(function).with_changes(name=cst.Name(name), leading_lines=lines),)

    return Site(what, tuple(edits), (Insertion((), index + 1, name, copied),))


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


def replaced(function: cst.FunctionDef, found: Callable[[cst.CSTNode], bool], edit: Edit) -> cst.FunctionDef:
    """Return a function with an edit made wherever something is found."""
    edits = [(path, edit) for path, node in _walk(function) if found(node)]
    changed: cst.FunctionDef = edited(function, edits)
    return changed


def _walk(node: cst.CSTNode, path: Path = ()) -> "list[tuple[Path, cst.CSTNode]]":
    every: list[tuple[Path, cst.CSTNode]] = [(path, node)]
    for name, index, child in steps(node):
        every += _walk(child, (*path, (name, index)))
    return every


def _module_place(program: Program, function: cst.FunctionDef) -> tuple[cst.CSTNode, int]:
    parent, _ = program.tree.parent(function)
    body = getattr(parent, "body", ())
    return parent, list(body).index(function) if isinstance(body, (list, tuple)) else 0


def _statement(program: Program, call: cst.Call) -> cst.SimpleStatementLine | None:
    """Return the line that is nothing but a call."""
    parent, _ = program.tree.parent(call)
    line, _ = program.tree.parent(parent)
    alone = isinstance(parent, cst.Expr) and isinstance(line, cst.SimpleStatementLine) and len(line.body) == 1
    return line if alone and isinstance(line, cst.SimpleStatementLine) else None


class _Choosing:
    """Turns a launch into a choice between it and one of another kernel."""

    def __init__(self, name: str, condition: str, arguments: Mapping[str, str]) -> None:
        self._name, self._condition, self._arguments = name, condition, arguments

    def __call__(self, line: Any) -> cst.If:
        plain = line.with_changes(leading_lines=[])
        call = plain.body[0].value
        function = call.func.with_changes(value=cst.Name(self._name))
        arguments = [
            a.with_changes(value=expression(self._arguments[a.keyword.value]))
            if a.keyword is not None and a.keyword.value in self._arguments
            else a
            for a in call.args
        ]
        other = plain.with_changes(body=[cst.Expr(call.with_changes(func=function, args=arguments))])
        return cst.If(
            test=expression(self._condition),
            body=cst.IndentedBlock([other]),
            orelse=cst.Else(cst.IndentedBlock([plain])),
            leading_lines=line.leading_lines,
        )
