"""A Triton program as rewrites see it, and how their edits become a text in which nothing else has changed."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache, partial
from itertools import count
from typing import Any, Protocol, TypeVar

import libcst as cst

from operators.launches import Kernel, Launch, kernels, launches
from operators.program_tree import Edit, Path, Scope, Tree, Unreadable, last_name, names_in, parse, passing
from operators.remembering import remembered
from operators.rewrites.alone import alone
from operators.rewrites.printing import code
from operators.rewrites.splicing import Insertion, inserting, spliced
from operators.rewrites.templates import expression
from operators.walking import descend, of_kind

_BINDING = (cst.AssignTarget, cst.AugAssign, cst.AnnAssign, cst.For, cst.NamedExpr)
T = TypeVar("T")
# lines of a program that is looked through: a first proposal of so many takes 1 to 4 s, mostly for parsing and masks
LONGEST = 2000
SHOWN = 60  # characters of a site's text in a message


@dataclass(frozen=True, slots=True)
class Site:
    """A place where a rewrite applies: what is there in a few words, and what becomes of it.

    `group` tells the choices that a rewrite has for one place: only one of them can be taken.
    """

    what: str
    edits: tuple[tuple[Path, Edit], ...]
    insertions: tuple[Insertion, ...] = ()
    group: int = 0


class Rewrite(Protocol):
    """One family of rewrites."""

    @property
    def name(self) -> str:
        """The name in the journal and in tables."""

    @property
    def intent(self) -> str:
        """What it is for, in a sentence."""

    def sites(self, program: "Program") -> Iterator[Site]:
        """Find where it applies."""


@dataclass(frozen=True, eq=False)
class Program:
    """A parsed program with the kernels that families may change, and their launches.

    `known` holds every jit function; `alone` says why some are left as they are. `faults` says what families raised.
    """

    source: str
    tree: Tree
    kernels: Mapping[str, Kernel]
    launches: tuple[Launch, ...]
    known: Mapping[str, Kernel]
    alone: Mapping[str, str]
    faults: dict[str, Exception] = field(default_factory=dict, compare=False)

    def calls(self, *names: str) -> tuple[tuple[cst.Call, Kernel], ...]:
        """Return the calls `tl.name(...)` in kernels, in the order of the text."""
        if names not in self._calls:
            homes = ((call, self._homes.get(scope)) for call, scope in self.tree.calls)
            self._calls[names] = tuple((call, k) for call, k in homes if k is not None and dotted(call.func, *names))
        return self._calls[names]

    def loops(self) -> Iterator[tuple[cst.For, cst.Call, Kernel]]:
        """Give the loops of kernels over a range of any kind, and the call that says which."""
        homes = self._homes
        for loop, scope in self.tree.loops:
            kernel, over = homes.get(scope), loop.iter
            if kernel is not None and isinstance(over, cst.Call) and _ranges(over.func):
                yield loop, over, kernel

    def operations(self, kind: type[cst.BaseBinaryOp]) -> Iterator[tuple[cst.BinaryOperation, Kernel]]:
        """Give the operations of one kind in kernels."""
        homes = self._homes
        for operation, scope in self.tree.operations:
            kernel = homes.get(scope)
            if kernel is not None and isinstance(operation.operator, kind):
                yield operation, kernel

    def place(self, node: cst.CSTNode) -> tuple[cst.CSTNode, int]:
        """Return the block that a node's statement is in, and the statement's number there."""
        inner = node
        for outer in self.tree.around(node):
            if type(outer) in (cst.IndentedBlock, cst.Module):
                return outer, self.tree.index(inner)
            inner = outer
        raise ValueError("a node outside any block")

    def within(self, node: cst.CSTNode) -> list[cst.For | cst.While]:
        """Return the loops around a node, the innermost first."""
        return [n for n in self.tree.around(node) if isinstance(n, (cst.For, cst.While))]

    def places(self, family: Rewrite) -> tuple[Site, ...]:
        """Return where a rewrite applies; it is looked for once, however often a parent is chosen."""
        if family not in self._places:
            self._places[family] = self._guarded(family.name, lambda: tuple(family.sites(self))) or ()
        return self._places[family]

    def rewritten(self, family: str, sites: Sequence[Site]) -> str | None:
        """Return the program after some sites of a family, None where the family raised."""
        return self._guarded(family, lambda: apply(self, sites))

    def _guarded(self, family: str, work: Callable[[], T]) -> T | None:
        """Do what may meet a fault of one family: it costs the program that family, and no search."""
        try:
            return work()
        except MemoryError:
            raise
        except Exception as error:  # noqa: BLE001  families read what people and models write, whatever that is
            self.faults.setdefault(family, error)
            return None

    def text(self, node: cst.CSTNode) -> str:
        """Return a node's text, cut where it is long."""
        plain = re.sub(r"\s+", " ", code(node)).strip()
        return plain if len(plain) <= SHOWN else f"{plain[: SHOWN - 3]}..."

    def function(self, kernel: Kernel) -> cst.FunctionDef:
        """Return a kernel's definition."""
        return self._functions[kernel.scope]

    @cached_property
    def _places(self) -> dict[Rewrite, tuple[Site, ...]]:
        return {}

    @cached_property
    def _calls(self) -> dict[tuple[str, ...], tuple[tuple[cst.Call, Kernel], ...]]:
        return {}

    @cached_property
    def _homes(self) -> dict[Scope, Kernel]:
        return {kernel.scope: kernel for kernel in self.kernels.values()}

    @cached_property
    def _functions(self) -> dict[Scope, cst.FunctionDef]:
        return {scope: node for node, scope in self.tree.functions}


@lru_cache(maxsize=32)
def read(source: str) -> Program:
    """Parse a program; Unreadable says why it cannot be, or that it is too long to look through."""
    if source.count("\n") > LONGEST:
        raise Unreadable(f"it has more than {LONGEST:,} lines")
    tree = parse(source)
    known = kernels(tree)
    launched = launches(tree, known)
    left = alone(tree, known, launched)
    jitted = {name: kernel for name, kernel in known.items() if name not in left}
    return Program(source, tree, jitted, tuple(one for one in launched if one.kernel.name in jitted), known, left)


def apply(program: Program, sites: Sequence[Site]) -> str:
    """Return the program with the edits of some sites; of the choices for one place the first is taken."""
    chosen = list(
        {(site.group or number + 1 << 32): site for number, site in reversed(list(enumerate(sites)))}.values()
    )
    edits = [edit for site in reversed(chosen) for edit in site.edits]
    blocks: dict[Path, list[Insertion]] = {}
    for insertion in dict.fromkeys(i for site in reversed(chosen) for i in site.insertions):
        blocks.setdefault(insertion.block, []).append(insertion)
    module = blocks.pop((), [])
    edits += [(path, inserting(found)) for path, found in blocks.items()]
    return spliced(program.source, program.tree, edits, module) if edits or module else program.source


def dotted(node: cst.CSTNode, *names: str) -> bool:
    """Tell whether an expression is `tl.name` or `triton.language.name`."""
    return type(node) is cst.Attribute and node.attr.value in names and last_name(node.value) in ("tl", "language")


def _ranges(node: cst.CSTNode) -> bool:
    return (isinstance(node, cst.Name) and node.value == "range") or dotted(node, "range", "static_range")


def removed(line: cst.SimpleStatementLine) -> Any:
    """Leave nothing of a line."""
    return cst.RemoveFromParent()


def keyword(call: cst.Call, name: str) -> cst.Arg | None:
    """Return the argument that a call passes by a name."""
    for argument in call.args:
        if argument.keyword is not None and argument.keyword.value == name:
            return argument
    return None


def open_to_keywords(call: cst.Call) -> bool:
    """Tell whether a keyword can be added to a call."""
    return not any(a.star for a in call.args)


def adding(name: str, value: str) -> Callable[[cst.Call], cst.Call]:
    """Return the edit that passes one more keyword argument."""
    return lambda call: passing(call, name, expression(value))


def adding_constexpr(program: Program, kernel: Kernel, name: str, value: int) -> tuple[Path, Edit]:
    """Return the edit that gives a kernel one more constexpr, with a default that the tuner can move."""
    edit = partial(constexpr_added, name=name, value=value)
    return program.tree.path(program.function(kernel).params), edit


def constexpr_added(parameters: cst.Parameters, name: str, value: int) -> cst.Parameters:
    """Return parameters with one more constexpr at their end."""
    kind = cst.Annotation(expression("tl.constexpr"))
    new = cst.Param(cst.Name(name), kind, cst.AssignEqual(), cst.Integer(str(value)))
    place = "params" if parameters.params or not parameters.kwonly_params else "kwonly_params"
    *before, last = getattr(parameters, place) or (None,)
    if last is None:
        return parameters.with_changes(params=(new,))
    new = new.with_changes(comma=last.comma, whitespace_after_param=last.whitespace_after_param)
    spaced = cst.Comma(whitespace_after=cst.SimpleWhitespace(" "))
    last = last.with_changes(comma=spaced, whitespace_after_param=cst.SimpleWhitespace(""))
    return parameters.with_changes(**{place: (*before, last, new)})


def binds(node: cst.CSTNode, name: str) -> bool:
    """Tell whether a name is bound anywhere in a statement."""
    return name in bound(node)


@remembered
def bound(node: cst.CSTNode) -> tuple[str, ...]:
    """List the names that a statement binds, again for every time."""
    targets = [n.target for n in descend(node) if type(n) in _BINDING]  # type: ignore[attr-defined]
    return tuple([p.value for target in targets for p in of_kind(target, cst.Name)])


def fresh_name(program: Program, kernel: Kernel, wanted: str, given: Sequence[str] = ()) -> str:
    """Return a name that a kernel does not use, nor was given before, as near to what is wanted as can be."""
    taken, above = names_in(kernel.scope), program.tree.top.bindings
    return next(n for n in numbered(wanted) if n not in taken and n not in above and n not in given)


def numbered(wanted: str) -> Iterator[str]:
    """Give a name, and then it with a number at its end."""
    yield wanted
    yield from (f"{wanted}_{i}" for i in count(2))
