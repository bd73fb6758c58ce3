"""Small jit functions written out where they are called, so that other rewrites see what they do."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import libcst as cst

from operators.launches import Kernel
from operators.program_tree import descend
from operators.rewrites.program import ATOMS, Insertion, Program, Site, expression, fresh_name, statement
from operators.rewrites.renaming import renamed

GUARDED = (cst.IfExp, cst.BooleanOperation, cst.Lambda, cst.BaseComp, cst.NamedExpr)


@dataclass(frozen=True, slots=True)
class Inlined:
    """A helper's lines before the call, and its result in the place of it."""

    name: str = "inline-helper"
    intent: str = "write a helper out where it is called"

    def sites(self, program: Program) -> Iterator[Site]:
        """Find calls of jit functions that are a few assignments and one result."""
        homes = {kernel.scope: kernel for kernel in program.kernels.values()}
        for call, scope in program.tree.calls:
            kernel = homes.get(scope)
            helper = program.kernels.get(call.func.value) if isinstance(call.func, cst.Name) else None
            if kernel is None or helper is None or helper is kernel or not _reachable(program, call):
                continue
            nested = any(isinstance(n, cst.Call) and isinstance(n.func, cst.Name) and n.func.value in program.known
                         for a in call.args for n in descend(a))  # fmt: skip
            given = None if nested else _given(program, helper, call)
            lines = None if given is None else _lines(program, helper)
            if given is not None and lines is not None:
                yield _site(program, kernel, helper, call, given)


def _site(
    program: Program, kernel: Kernel, helper: Kernel, call: cst.Call, given: dict[str, cst.BaseExpression]
) -> Site:
    """Return the site with the helper's names made new to the kernel."""
    names: dict[str, cst.BaseExpression] = {}
    made: list[cst.BaseStatement] = []
    block, index = program.place(call)
    number = sum(1 for c, _ in program.tree.calls if c is not call and isinstance(c.func, cst.Name)
                 and c.func.value == helper.name and program.tree.path(c) < program.tree.path(call))  # fmt: skip
    local = {n: cst.Name(fresh_name(program, kernel, f"{helper.name}_{n}_{number}" if number else f"{helper.name}_{n}"))
             for n in helper.scope.bindings}  # fmt: skip
    for name, value in given.items():
        rebound = len(helper.scope.bindings.get(name, ())) > 1
        if name in helper.constexprs or (isinstance(value, ATOMS[:1]) and not rebound):
            names[name] = value
        else:
            made.append(statement(f"{local[name].value} = x", x=value))
    names = {**{n: v for n, v in local.items() if n not in names}, **names}
    *lines, result = _lines(program, helper) or ()
    made += [renamed(line, names) for line in lines]
    value = renamed(result.body[0].value, names)  # type: ignore[attr-defined]
    added = Insertion(program.tree.path(block), index, f"{helper.name} {index} {number}", partial(tuple, made))
    return Site(program.text(call), ((program.tree.path(call), partial(_becoming, value=value)),), (added,))


def _reachable(program: Program, call: cst.Call) -> bool:
    """Tell whether lines before a call's statement are run as often as the call."""
    for outer in program.tree.around(call):
        if isinstance(outer, GUARDED):
            return False
        if isinstance(outer, cst.SimpleStatementLine):
            return len(outer.body) == 1
    return False


def _lines(program: Program, helper: Kernel) -> tuple[cst.SimpleStatementLine, ...] | None:
    """Return a helper's lines without its docstring, the result last, where they are no more than assignments."""
    body = [line for line in program.function(helper).body.body if isinstance(line, cst.SimpleStatementLine)]
    if len(body) != len(program.function(helper).body.body) or any(len(line.body) != 1 for line in body):
        return None
    if body and isinstance(body[0].body[0], cst.Expr):
        body = body[1:]
    last = body[-1].body[0] if body else None
    plain = all(isinstance(line.body[0], (cst.Assign, cst.AugAssign)) for line in body[:-1])
    return tuple(body) if plain and isinstance(last, cst.Return) and last.value is not None else None


def _given(program: Program, helper: Kernel, call: cst.Call) -> dict[str, cst.BaseExpression] | None:
    """Return what a call passes for every parameter of a helper."""
    parameters = program.function(helper).params
    if (
        any(a.star for a in call.args)
        or parameters.kwonly_params
        or not isinstance(parameters.star_arg, cst.MaybeSentinel)
    ):
        return None
    given = {p.name.value: p.default for p in parameters.params}
    for index, argument in enumerate(call.args):
        name = argument.keyword.value if argument.keyword else helper.positional[index] if index < len(given) else ""
        if name not in given:
            return None
        given[name] = argument.value
    known = {name: value for name, value in given.items() if value is not None}
    return known if len(known) == len(given) else None


def _becoming(call: cst.Call, value: cst.BaseExpression) -> cst.BaseExpression:
    return expression("(x)", x=value.with_changes(lpar=[], rpar=[]))
