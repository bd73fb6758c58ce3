"""Small jit functions written out where they are called, so that other rewrites see what they do."""

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass

import libcst as cst

from operators.launches import Kernel
from operators.program_tree import Path
from operators.rewrites.program import Program, Site, fresh_name
from operators.rewrites.renaming import renamed
from operators.rewrites.splicing import Insertion
from operators.rewrites.templates import ATOMS, expression, statement
from operators.walking import of_kind

GUARDED = (cst.IfExp, cst.BooleanOperation, cst.Lambda, cst.BaseComp, cst.NamedExpr)


@dataclass(frozen=True, slots=True)
class Inlined:
    """A helper's lines before the call, and its result in the place of it."""

    name: str = "inline-helper"
    intent: str = "write a helper out where it is called"

    def sites(self, program: Program) -> Iterator[Site]:
        """Find calls of jit functions that are a few assignments and one result."""
        homes = {kernel.scope: kernel for kernel in program.kernels.values()}
        places = _places(program)
        for call, scope in program.tree.calls:
            kernel = homes.get(scope)
            helper = program.kernels.get(call.func.value) if type(call.func) is cst.Name else None
            if kernel is None or helper is None or helper is kernel or not _reachable(program, call):
                continue
            nested = any(type(n.func) is cst.Name and n.func.value in program.known
                         for a in call.args for n in of_kind(a, cst.Call))  # fmt: skip
            given = None if nested else _given(program, helper, call)
            lines = None if given is None else _lines(program, helper)
            if given is not None and lines is not None:
                number = bisect_left(places[helper.name], program.tree.path(call))
                written = _Written(program, kernel, helper, given, number, lines)
                yield _site(program, call, written)


def _places(program: Program) -> dict[str, list[Path]]:
    """Return the places of all calls of plain names, by name and in order."""
    found: dict[str, list[Path]] = {}
    for call, _ in program.tree.calls:
        if type(call.func) is cst.Name and call.func.value in program.kernels:
            found.setdefault(call.func.value, []).append(program.tree.path(call))
    return {name: sorted(paths) for name, paths in found.items()}


@dataclass(frozen=True, slots=True)
class _Written:
    """One call of a helper, written out when that is wanted; `number` counts the calls before it."""

    program: Program
    kernel: Kernel
    helper: Kernel
    given: dict[str, cst.BaseExpression]
    number: int
    lines: tuple[cst.SimpleStatementLine, ...]

    def before(self) -> tuple[cst.BaseStatement, ...]:
        """Return the lines before the call."""
        names, made = self._names()
        return (*made, *(renamed(line, names) for line in self.lines[:-1]))

    def result(self, call: cst.Call) -> cst.BaseExpression:
        """Return what takes the place of the call."""
        names, _ = self._names()
        value = renamed(self.lines[-1].body[0].value, names)  # type: ignore[attr-defined]
        return expression("(x)", x=value.with_changes(lpar=[], rpar=[]))

    def _names(self) -> tuple[dict[str, cst.BaseExpression], list[cst.BaseStatement]]:
        """Return what the helper's names become, and the lines that give its parameters what is passed."""
        helper, end = self.helper, f"_{self.number}" if self.number else ""
        local = {
            n: cst.Name(fresh_name(self.program, self.kernel, f"{helper.name}_{n}{end}")) for n in helper.scope.bindings
        }
        names: dict[str, cst.BaseExpression] = {**local}
        made: list[cst.BaseStatement] = []
        for name, value in self.given.items():
            rebound = len(helper.scope.bindings.get(name, ())) > 1
            if name in helper.constexprs or (isinstance(value, ATOMS[:1]) and not rebound):
                names[name] = value
            else:
                made.append(statement(f"{local[name].value} = x", x=value))
        return names, made


def _site(program: Program, call: cst.Call, written: _Written) -> Site:
    """Return the site with the helper's names made new to the kernel."""
    block, index = program.place(call)
    name = f"{written.helper.name} {index} {written.number}"
    added = Insertion(program.tree.path(block), index, name, written.before)
    return Site(program.text(call), ((program.tree.path(call), written.result),), (added,))


def _reachable(program: Program, call: cst.Call) -> bool:
    """Tell whether lines before a call's statement are run as often as the call."""
    for outer in program.tree.around(call):
        if isinstance(outer, GUARDED):
            return False
        if type(outer) is cst.SimpleStatementLine:
            return len(outer.body) == 1
    return False


def _lines(program: Program, helper: Kernel) -> tuple[cst.SimpleStatementLine, ...] | None:
    """Return a helper's lines without its docstring, the result last, where they are no more than assignments."""
    body = [line for line in program.function(helper).body.body if type(line) is cst.SimpleStatementLine]
    if len(body) != len(program.function(helper).body.body) or any(len(line.body) != 1 for line in body):
        return None
    if body and type(body[0].body[0]) is cst.Expr:
        body = body[1:]
    last = body[-1].body[0] if body else None
    plain = all(isinstance(line.body[0], (cst.Assign, cst.AugAssign)) for line in body[:-1])
    return tuple(body) if plain and type(last) is cst.Return and last.value is not None else None


def _given(program: Program, helper: Kernel, call: cst.Call) -> dict[str, cst.BaseExpression] | None:
    """Return what a call passes for every parameter of a helper."""
    parameters = program.function(helper).params
    if any(a.star for a in call.args) or parameters.kwonly_params or type(parameters.star_arg) is not cst.MaybeSentinel:
        return None
    given = {p.name.value: p.default for p in parameters.params}
    for index, argument in enumerate(call.args):
        name = argument.keyword.value if argument.keyword else helper.positional[index] if index < len(given) else ""
        if name not in given:
            return None
        given[name] = argument.value
    known = {name: value for name, value in given.items() if value is not None}
    return known if len(known) == len(given) else None
