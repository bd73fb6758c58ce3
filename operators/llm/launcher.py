"""The function that every program of a task defines: its name, and the parameters it must have."""

import ast
import copy
from collections.abc import Iterator
from dataclasses import dataclass

from suites import Task
from suites.parsing import parse

_SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)


@dataclass(frozen=True, slots=True)
class Launcher:
    """A launcher as the task's seeds write it. `forms` are their parameters, written as Python writes them.

    None where another suite's test calls something else than a function of that name: the test finds what is wrong.
    """

    name: str
    forms: tuple[str, ...]

    def fault(self, tree: ast.Module) -> str | None:
        """Say in what a program's launcher is not the task's, if in anything; annotations are free."""
        bound = [node for node in _bindings(tree) if self.name in _names(node)]
        defined = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == self.name]
        if not self.forms:
            return None
        if not defined:
            return f"the program defines no function `{self.name}` at its top level: keep the launcher's name"
        if len(bound) > 1:
            return f"the program gives the name `{self.name}` more than once: define the launcher once and nothing else"
        taken = written(defined[0])
        if taken not in self.forms:
            wanted = " or ".join(f"`def {self.name}({form})`" for form in self.forms)
            return f"the launcher is written {wanted}; the reply has `def {self.name}({taken})`: keep its parameters"
        return None


def of(task: Task) -> Launcher:
    """Return the launcher that a task asks for: a program may have the parameters of any of its seeds.

    Where there is none, a case's arguments are the parameters.
    """
    seeds = [node for seed in task.seeds for node in parse(seed.source).body]
    defined = [node for node in seeds if isinstance(node, ast.FunctionDef) and node.name == task.entry]
    if not task.seeds:
        return Launcher(task.entry, (", ".join(task.cases[0].inputs),))
    return Launcher(task.entry, tuple(dict.fromkeys(written(node) for node in defined)))


def written(function: ast.FunctionDef) -> str:
    """Write a function's parameters with their kinds and defaults, without annotations."""
    parameters = copy.deepcopy(function.args)
    for node in ast.walk(parameters):
        if isinstance(node, ast.arg):
            node.annotation = None
    return ast.unparse(parameters)


def _bindings(tree: ast.Module) -> Iterator[ast.AST]:
    """Give every node that may bind a name of the module: at its top level, also under `if`, `for`, `try`, `with`."""
    waiting: list[ast.AST] = list(tree.body)
    while waiting:
        node = waiting.pop()
        yield node
        if isinstance(node, _SCOPES):
            yield from (inner for inner in ast.walk(node) if isinstance(inner, ast.Global))
        else:
            waiting.extend(ast.iter_child_nodes(node))


def _names(node: ast.AST) -> tuple[str, ...]:
    """Return the names that a node binds, takes away or makes global by itself."""
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        return (node.name,)
    if isinstance(node, ast.Name):
        return () if isinstance(node.ctx, ast.Load) else (node.id,)
    if isinstance(node, (ast.Import, ast.ImportFrom)):
        return tuple((alias.asname or alias.name).split(".")[0] for alias in node.names)
    if isinstance(node, (ast.ExceptHandler, ast.MatchAs, ast.MatchStar)):
        return (node.name,) if node.name else ()
    if isinstance(node, ast.MatchMapping):
        return (node.rest,) if node.rest else ()
    return tuple(node.names) if isinstance(node, ast.Global) else ()
