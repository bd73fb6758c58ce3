"""Writes a program of our task as the suite's own test takes it, and a program of theirs as our judge does.

Our launcher takes what the cases vary; their test calls a function with more arguments, or builds a module. What says
how one becomes the other is in our task's text.
"""

import ast
from dataclasses import dataclass

from suites.parsing import parse
from suites.task import Input, Task

MODULE = """

import types as evo_types

evo_theirs = evo_types.ModuleType("evo_theirs")  # whose parameters the test draws
exec({source!r}, vars(evo_theirs))


class ModelNew(evo_theirs.Model):
    def forward(self, *given):
        held = dict([*self.named_parameters(), *self.named_buffers()])
        return {entry}(*given, *[held[name] for name in {held!r}])
"""
FUNCTION = """

evo_own = globals().get({function!r})


def {function}(*args, **kwargs):
    given, here = evo_given(*args, **kwargs), globals()
    wrapper, here[{function!r}] = here[{function!r}], evo_own
    try:
        if given is None:
            return evo_other(*args, **kwargs)
        made = {entry}(*given)
    finally:
        here[{function!r}] = wrapper
    {ending}


def evo_other(*args, **kwargs):
    if evo_before is None:
        raise NotImplementedError("the program found is for calls of one form alone: {form}")
    return evo_before(*args, **kwargs)


def evo_given({parameters}):
    return ({names},) if {condition} else None


def evo_is(value, kind):
    return str(getattr(value, "dtype", type(value).__name__)).removeprefix("torch.") == kind
"""
PUT = """for old, new in zip([given[n] for n in {places}], made if isinstance(made, (tuple, list)) else [made]):
        old.copy_(new)"""


class Unhandable(Exception):
    """A program that their test cannot be given: why, in one line."""


@dataclass(frozen=True, slots=True)
class Made:
    """What the text of a turned task says of how it was made: the class in functions.py, and what it was given."""

    kind: str
    source: str
    rest: tuple[object, ...]


def made(own: Task) -> Made:
    """Read how a task of ours was made of theirs."""
    for node in parse(own.source).body:
        value = node.value if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "theirs" else None
        if isinstance(value, ast.Call):
            source, *rest = (ast.literal_eval(a) for a in value.args)
            return Made(ast.unparse(value.func).rpartition(".")[2], source, tuple(rest))
    raise Unhandable(f"{own.name} was not made of a task of another suite")


def ours(own: Task, program: str) -> str | None:
    """Return a program of theirs with the launcher of our task; None where it cannot be given one."""
    if own.entry in _functions(program):
        return program
    found = made(own)
    return None if found.kind == "Modules" else f"{program.rstrip()}\n\n\n{found.rest[0]}"


def theirs(own: Task, program: str) -> str:
    """Return a program of our task as their test takes it.

    Calls of other forms than the task's go to the function of that name that the program still has; a PyTorch
    function stands there too.
    """
    found = made(own)
    if found.kind == "Modules":
        return program.rstrip() + MODULE.format(entry=own.entry, held=found.rest[0], source=found.source)
    adapter, functions = str(found.rest[0]), _functions(program)
    launcher = _functions(adapter)[own.entry]
    call = _call(launcher)
    function = ast.unparse(call.func)
    unchanged = own.entry in functions and ast.dump(functions[own.entry]) == ast.dump(launcher)
    if function in functions and unchanged:
        return program  # the launcher calls their function, and nothing else was searched
    original = _functions(found.source).get(function)
    if original is None:
        raise Unhandable(f"the launcher is new, and `{function}` is no function at the top level of their program")
    parts = [program.rstrip(), f"evo_before = globals().get({function!r})"]
    if found.kind == "Function":  # the program may use the name for something else
        parts = [found.source.rstrip(), f"evo_before = {function}", program.rstrip()]
    return "\n\n\n".join(parts) + _function(own, launcher, call, original)


def _functions(text: str) -> dict[str, ast.FunctionDef]:
    return {n.name: n for n in parse(text).body if isinstance(n, ast.FunctionDef)}


def _call(launcher: ast.FunctionDef) -> ast.Call:
    """Return the call of their function in the launcher that was written for it."""
    first = launcher.body[0]
    if not (isinstance(first, ast.Assign) and isinstance(first.value, ast.Call)):
        raise Unhandable("the task's launcher does not begin with a call of theirs")
    return first.value


def _function(own: Task, launcher: ast.FunctionDef, call: ast.Call, original: ast.FunctionDef) -> str:
    """Write the function that their test calls, by our launcher."""
    pairs = _pairs(original.args, call)
    takes = [a.arg for a in launcher.args.args]
    fixed = [(name, value) for name, value in pairs if value not in takes]
    by_ours = {value: name for name, value in pairs}
    conditions = [f"type({n}) is type({v}) and {n} == {v}" for n, v in fixed]
    for name, argument in own.cases[0].inputs.items():
        kind = argument.dtype if isinstance(argument, Input) else type(argument).__name__
        conditions.append(f"evo_is({by_ours[name]}, {kind!r})")
    return FUNCTION.format(
        function=original.name, entry=own.entry, parameters=_parameters(original),
        form=", ".join(f"{n}={v}" for n, v in fixed).replace('"', "'"), condition=" and ".join(conditions),
        names=", ".join(by_ours[name] for name in takes), ending=_ending(launcher, takes),
    )  # fmt: skip


def _pairs(taken: ast.arguments, call: ast.Call) -> list[tuple[str, str]]:
    """Return what each parameter of theirs is by our launcher, as Python writes it: given, or the default."""
    if taken.vararg or taken.kwarg:
        raise Unhandable("the suite's function takes any number of arguments")
    plain = [a.arg for a in (*taken.posonlyargs, *taken.args)]
    found = dict(zip(plain[len(plain) - len(taken.defaults) :], taken.defaults, strict=True))
    found |= {a.arg: value for a, value in zip(taken.kwonlyargs, taken.kw_defaults, strict=True) if value is not None}
    found |= dict(zip(plain, call.args, strict=False))
    found |= {k.arg: k.value for k in call.keywords if k.arg is not None}
    return [(name, ast.unparse(found[name])) for name in (*plain, *(a.arg for a in taken.kwonlyargs))]


def _parameters(function: ast.FunctionDef) -> str:
    """Write a function's parameters with their defaults, without annotations."""
    for node in ast.walk(function.args):
        if isinstance(node, ast.arg):
            node.annotation = None
    return ast.unparse(function.args)


def _ending(launcher: ast.FunctionDef, takes: list[str]) -> str:
    """Write what becomes of the launcher's results: returned, or put where their function puts them."""
    last = launcher.body[-1]
    value = last.value if isinstance(last, ast.Return) else None
    parts = value.elts if isinstance(value, ast.Tuple) else [value]
    told = [ast.unparse(p) for p in parts if p is not None]
    if told == ["made"]:
        return "return made"
    if told == [f"made[{n}]" for n in range(len(told))]:
        return "return tuple(made) if isinstance(made, (tuple, list)) else (made,)"
    if told and all(name in takes for name in told):
        return PUT.format(places=[takes.index(name) for name in told])
    raise Unhandable("the suite's function returns more than tensors, and the launcher is new")
