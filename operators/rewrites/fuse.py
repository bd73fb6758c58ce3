"""Two launches in a row as one, where the first kernel only fills a buffer for the second."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import libcst as cst

from operators.launches import Launch
from operators.program_tree import copied
from operators.rewrites.printing import code
from operators.rewrites.program import Program, Site, bound, dotted, removed
from operators.rewrites.programs import launched, own_numbers
from operators.rewrites.renaming import renamed
from operators.rewrites.sharing import passed_texts, shared
from operators.rewrites.special import line_of
from operators.rewrites.splicing import Insertion
from operators.rewrites.templates import expression, statement
from operators.walking import descend, named, of_kind


@dataclass(frozen=True, slots=True)
class Fused:
    """One kernel of both bodies.

    What the second loads where the first stored it stays in registers where neither has a mask; all else goes through
    memory, behind a barrier.
    """

    name: str = "fuse-kernels"
    intent: str = "launch once, and keep what one kernel leaves for the other where it is"

    def sites(self, program: Program) -> Iterator[Site]:
        """Find launches on one grid, one right after the other, that share a buffer which the launcher makes."""
        for group, (first, second) in enumerate(zip(program.launches, program.launches[1:], strict=False), 1):
            site = _site(program, first, second, group)
            if site is not None:
                yield site


def _site(program: Program, first: Launch, second: Launch, group: int) -> Site | None:
    one, two = (line_of(program, launch.call) for launch in (first, second))
    if one is None or two is None or first.scope is not second.scope:
        return None
    (block, place), (other, next_place) = program.place(one), program.place(two)
    grids = {code(launch.call.func.slice[0]) for launch in (first, second)}  # type: ignore[attr-defined]
    name = f"{first.kernel.name}_fused"
    if block is not other or next_place != place + 1 or len(grids) != 1 or name in program.tree.top.bindings:
        return None
    if any(
        not own_numbers(program, launch.kernel) or not launched(program, launch.kernel) for launch in (first, second)
    ):
        return None
    given = [passed_texts(launch) for launch in (first, second)]
    if given[0] is None or given[1] is None or not _buffers(first, given[0], given[1]):
        return None
    if any(len(first.kernel.scope.bindings.get(parameter, ())) > 1 for parameter in given[0]):
        return None  # the second reads what it was passed
    waiting = shared(program, first, second, (given[0], given[1]))
    if waiting is None:
        return None
    home, index = program.place(program.function(second.kernel))
    if home is not program.tree.module or program.place(program.function(first.kernel))[0] is not home:
        return None
    made = partial(_kernel, program, first, second, given[0], given[1], name, waiting)
    edits = (
        (program.tree.path(one), removed),
        (program.tree.path(two), partial(_launch, name=name, given=_united(given[0], given[1]))),
    )
    return Site(f"{first.label} and {second.label}", edits, (Insertion((), index + 1, name, made),), group=group)


def _buffers(first: Launch, one: dict[str, str], two: dict[str, str]) -> list[str]:
    """Name the buffers that the launcher makes itself and passes to both kernels."""
    shared = [text for text in one.values() if text in two.values()]
    made = {text: first.scope.bound(text) for text in shared if text.isidentifier()}
    return [t for t, v in made.items() if any(type(x) is cst.Call and code(x.func) == "torch.empty" for x in v)]


def _names(one: dict[str, str], two: dict[str, str]) -> dict[str, str]:
    """Return the names that the second kernel's parameters have in the kernel of both."""
    names: dict[str, str] = {}
    for name, text in two.items():
        same = [n for n, t in one.items() if t == text and n.isupper() == name.isupper() and n not in names.values()]
        clash = name in one and one[name] != text
        names[name] = name if one.get(name) == text else same[0] if same else f"{name}_2" if clash else name
    return names


def _united(one: dict[str, str], two: dict[str, str]) -> dict[str, str]:
    names = _names(one, two)
    return {**one, **{names[n]: t for n, t in two.items()}}


def _kernel(program: Program, first: Launch, second: Launch, one: dict[str, str], two: dict[str, str],
            name: str, waiting: int) -> tuple[cst.BaseStatement, ...]:  # fmt: skip
    functions = [program.function(launch.kernel) for launch in (first, second)]
    names = _names(one, two)
    lines = [renamed(line, _changed(names)) for line in functions[1].body.body]
    first_lines = list(functions[0].body.body)
    same = _repeated(first_lines, lines, {*names.values()})
    taken = {*first.kernel.scope.bindings, *first.kernel.constexprs}
    own = {n for n in second.kernel.scope.bindings if n not in names and n in taken and n not in same}
    kept = [line for line in lines if _target(line) not in same]
    unread = {name for name, text in one.items() if not _is_read(program, first, second, text)}
    body = _joined(first_lines, [renamed(line, _changed({n: f"{n}_2" for n in own})) for line in kept], waiting, unread)
    parameters = functions[0].params
    known = {p.name.value for p in parameters.params}
    more = [copied(p, {"name": cst.Name(n)}) for p in functions[1].params.params
            if (n := names.get(p.name.value, p.name.value)) not in known]  # fmt: skip
    every = [*parameters.params, *more]
    every = [*(p for p in every if p.default is None), *(p for p in every if p.default is not None)]
    spaced = cst.Comma(whitespace_after=cst.SimpleWhitespace(" "))
    every = [copied(p, {"comma": spaced, "whitespace_after_param": cst.SimpleWhitespace("")}) for p in every]
    every[-1] = copied(every[-1], {"comma": cst.MaybeSentinel.DEFAULT})
    head = {"name": cst.Name(name), "leading_lines": [cst.EmptyLine(indent=False)] * 2}
    inside = {"params": parameters.with_changes(params=every), "body": copied(functions[0].body, {"body": body})}
    return (copied(functions[0], {**head, **inside}),)


def _is_read(program: Program, first: Launch, second: Launch, text: str) -> bool:
    """Tell whether a launcher's value is in use besides two launches."""
    home = first.scope.home(text)
    reads = program.tree.reads.get((home, text), ()) if home is not None else ()
    passing = {node for launch in (first, second) for node in of_kind(launch.call, cst.Name)} if reads else set()
    return any(name not in passing for name, _ in reads)


def _changed(names: dict[str, str]) -> dict[str, cst.BaseExpression]:
    return {old: cst.Name(new) for old, new in names.items() if old != new}


def _repeated(one: list[Any], two: list[Any], parameters: set[str]) -> set[str]:
    """Return the names that the second body gives values which they have at the end of the first."""
    every = [[n for line in lines for n in bound(line)] for lines in (one, two)]
    known = {code(line.body[0]) for line in one if _target(line) and every[0].count(_target(line)) == 1}
    same: set[str] = set()
    for line in two:
        name = _target(line)
        if name and every[1].count(name) == 1 and code(line.body[0]) in known:
            read = named(line.body[0].value)
            loads = any(type(n) is cst.Call and dotted(n.func, "load") for n in descend(line))
            if not loads and not read & (set(every[1]) - same) and not read & (set(every[0]) - same - parameters):
                same.add(name)
    return same


def _target(line: Any) -> str:
    one = line.body[0] if _single(line) else None
    target = one.targets[0].target if type(one) is cst.Assign and len(one.targets) == 1 else None
    return target.value if type(target) is cst.Name else ""


def _joined(one: list[Any], two: list[Any], waiting: int, unread: set[str]) -> list[Any]:
    """Return both bodies; a load of what was stored is its value, and a store that nothing loads goes.

    A barrier is between them where more of the second than such loads waits for the first. `unread`: parameters
    that nothing else in the launcher looks at.
    """
    stores = {
        key: (n, code(line.body[0].value.args[1].value))
        for n, line in enumerate(one)
        if (key := _stored(line)) and _lasts(line, key, one[n + 1 :], two)
    }
    used: set[int] = set()
    for n, line in enumerate(two):
        found = _loaded(line)
        if found in stores:
            place, value = stores[found]
            used.add(place)
            waiting -= 1
            target = code(line.body[0].targets[0].target)
            two[n] = statement(f"{target} = {value}")
    bases = {code(node) for line in two for node in of_kind(line, cst.Name)}
    gone = {n for n in used if _base(one[n]) in unread - bases}
    barrier = [statement("tl.debug_barrier()")] if waiting else []
    return [*(line for n, line in enumerate(one) if n not in gone), *barrier, *two]


def _lasts(line: Any, address: str, later: list[Any], two: list[Any]) -> bool:
    """Tell whether neither what a line stores, nor its address or what is there, changes before the second body."""
    names = named(line)
    calls = [n for other in (*later, *two) for n in of_kind(other, cst.Call)]
    again = any(dotted(c.func, "store") and c.args and code(c.args[0].value) == address for c in calls)
    return not again and not names.intersection(n for other in later for n in bound(other))


def _stored(line: Any) -> str | None:
    """Return the address of a line that stores a name there."""
    call = line.body[0].value if _single(line) and type(line.body[0]) is cst.Expr else None
    if type(call) is not cst.Call or not dotted(call.func, "store") or len(call.args) != 2:
        return None
    return code(call.args[0].value)


def _loaded(line: Any) -> str | None:
    call = line.body[0].value if _single(line) and type(line.body[0]) is cst.Assign else None
    if type(call) is not cst.Call or not dotted(call.func, "load") or len(call.args) != 1:
        return None
    return code(call.args[0].value)


def _single(line: Any) -> bool:
    return type(line) is cst.SimpleStatementLine and len(line.body) == 1


def _base(line: Any) -> str:
    return next((n.value for n in of_kind(line.body[0].value.args[0].value, cst.Name)), "")


def _launch(line: Any, name: str, given: dict[str, str]) -> Any:
    call = line.body[0].value
    equal = cst.AssignEqual(*[cst.SimpleWhitespace("")] * 2)
    arguments = [cst.Arg(expression(text), cst.Name(key), equal) for key, text in given.items()]
    new = copied(call, {"func": copied(call.func, {"value": cst.Name(name)}), "args": arguments})
    return copied(line, {"body": [cst.Expr(new)]})
