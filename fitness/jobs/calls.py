"""Writes down how a suite's test calls the functions of the program that it tests: arguments, results, launches."""

import functools
import inspect
import time
import types
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch

from fitness.jobs import interpreted

MODULE = "calls_of_the_test"  # under which a program finds `wrap`; see `hook`
MOST, SECONDS = 8, 25.0  # calls with launches that are kept, and for how long a test goes on once there is one
PLAIN = 48  # calls that are kept of functions that launch nothing

MARKS: dict[Any, Callable[[str], str]] = {  # what is written before an argument of this kind
    inspect.Parameter.KEYWORD_ONLY: "{}=".format,
    inspect.Parameter.VAR_POSITIONAL: "*".format,
    inspect.Parameter.VAR_KEYWORD: "**".format,
}


class Enough(KeyboardInterrupt):
    """Ends a test once enough was seen of it: neither pytest nor a test takes it for a failure."""


@dataclass(slots=True)
class Call:
    """One call from outside the program."""

    function: str
    arguments: dict[str, Any]  # tensors as they were before
    changed: tuple[str, ...] = ()  # arguments that the call wrote to,
    wrote: dict[str, int] = field(default_factory=dict)  # and how many of their elements are others now
    result: Any = None
    launches: int = 0
    seconds: float = 0.0
    tensors: dict[str, torch.Tensor] = field(default_factory=dict)
    marks: dict[str, str] = field(default_factory=dict)  # before an argument that is not given by its place alone
    left: frozenset[str] = frozenset()  # arguments that the call leaves to their defaults


@dataclass(slots=True)
class Notes:
    """The calls of one run of a test; `plain` where none of them launches a kernel."""

    plain: bool = False
    calls: list[Call] = field(default_factory=list)
    inside: int = 0
    launches: int = 0
    began: float = field(default_factory=time.monotonic)

    def keep(self, one: Call) -> None:
        """Keep a call; Enough where no more are wanted."""
        self.calls.append(one)
        launching = sum(c.launches > 0 for c in self.calls)
        late = time.monotonic() - self.began > SECONDS
        if launching >= MOST or (launching and late) or (self.plain and (late or len(self.calls) >= PLAIN)):
            raise Enough


def hook(source: str) -> str:
    """Return a program whose functions are watched."""
    return f"{source}\n\nimport {MODULE}\n{MODULE}.wrap(globals())\n"


def watch(plain: bool = False) -> Notes:
    """Have what follows written down."""
    import sys

    notes, launch = Notes(plain), interpreted.Kernel.run

    def counted(*args: Any, **kwargs: Any) -> Any:
        notes.launches += 1
        return launch(*args, **kwargs)

    interpreted.Kernel.run = counted
    module = types.ModuleType(MODULE)
    module.wrap = functools.partial(_wrap, notes)  # type: ignore[attr-defined]
    sys.modules[MODULE] = module
    return notes


def _wrap(notes: Notes, program: dict[str, Any]) -> None:
    """Put watched functions in the place of a program's own."""
    own = program.get("__name__")
    for name, value in list(program.items()):
        function = isinstance(value, types.FunctionType) and value.__module__ == own and not name.startswith("__")
        if function or (isinstance(value, types.MethodType) and _is_autograd(value.__self__)):
            program[name] = _watched(notes, name, value)


def _is_autograd(owner: Any) -> bool:
    """Tell whether `apply` of an owner runs its `forward`."""
    return isinstance(owner, type) and issubclass(owner, torch.autograd.Function)


def _signature(function: Callable[..., Any]) -> inspect.Signature:
    """Return what a function takes; of an autograd function, what its `forward` takes after the context."""
    owner = getattr(function, "__self__", None)
    if not _is_autograd(owner):
        return inspect.signature(function)
    whole = inspect.signature(owner.forward)  # type: ignore[union-attr]
    return whole.replace(parameters=list(whole.parameters.values())[1:])


def _watched(notes: Notes, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    def called(*args: Any, **kwargs: Any) -> Any:
        if notes.inside:
            return function(*args, **kwargs)
        one, before, started = _call(name, function, args, kwargs), notes.launches, time.monotonic()
        notes.inside += 1
        try:
            result = function(*args, **kwargs)
        finally:
            notes.inside -= 1
        if one is not None:
            one.launches, one.result, one.seconds = notes.launches - before, result, time.monotonic() - started
            one.changed = tuple(n for n, t in one.tensors.items() if not _equal(t, one.arguments[n]))
            one.wrote = {n: _others(one.tensors[n], one.arguments[n]) for n in one.changed}
            notes.keep(one)
        return result

    return called


def _call(name: str, function: Callable[..., Any], args: Any, kwargs: Any) -> Call | None:
    """Take a call's arguments by name; None where they do not fit, which the call itself will say."""
    try:
        signature = _signature(function)
        bound = signature.bind(*args, **kwargs)
    except TypeError:
        return None
    said = frozenset(bound.arguments)
    bound.apply_defaults()
    given = {n: v.detach() if isinstance(v, torch.Tensor) else v for n, v in bound.arguments.items()}
    tensors = {n: v for n, v in given.items() if isinstance(v, torch.Tensor)}
    parameters = [(n, p.kind) for n, p in signature.parameters.items() if n in given]
    marks = {n: MARKS[kind](n) for n, kind in parameters if kind in MARKS}
    for n, kind in parameters:
        if kind is inspect.Parameter.POSITIONAL_OR_KEYWORD and (n in kwargs or n not in said):
            marks[n] = f"{n}="
    left = frozenset(given) - said
    return Call(name, {n: _copy(v) for n, v in given.items()}, tensors=tensors, marks=marks, left=left)


def _copy(value: Any) -> Any:
    return value.clone(memory_format=torch.preserve_format) if isinstance(value, torch.Tensor) else value


def _equal(one: torch.Tensor, other: torch.Tensor) -> bool:
    if one.shape != other.shape:
        return False
    flat = [t.detach().contiguous().view(-1).view(torch.uint8) if t.numel() else t for t in (one, other)]
    return torch.equal(*flat)


def _others(one: torch.Tensor, other: torch.Tensor) -> int:
    """Count the elements that differ; at least one does."""
    return max(1, int((one.detach() != other).sum())) if one.shape == other.shape else one.numel()
