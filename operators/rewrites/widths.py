"""Which numbers of a kernel have 64 bits, and which of those are more than addresses."""

from collections.abc import Iterator, Sequence

import libcst as cst

from operators.launches import Kernel
from operators.remembering import remembered
from operators.rewrites.program import Program, dotted
from operators.walking import children, descend, of_kind

_ATOMICS = (
    "atomic_add",
    "atomic_max",
    "atomic_min",
    "atomic_and",
    "atomic_or",
    "atomic_xor",
    "atomic_xchg",
    "atomic_cas",
)
_REACHING = ("load", "store", *_ATOMICS)
_ADDRESS = ("pointer", "mask")  # what else a load or store is asked by name


def widens(node: cst.CSTNode) -> bool:
    """Tell whether an expression is `x.to(tl.int64)`."""
    return (
        type(node) is cst.Call  # asked of every node; isinstance takes ten times as long where the answer is no
        and type(node.func) is cst.Attribute
        and node.func.attr.value == "to"
        and len(node.args) == 1
        and dotted(node.args[0].value, "int64")
    )


@remembered
def is_wide(kernel: Kernel, node: cst.CSTNode, seen: frozenset[str] = frozenset()) -> bool:
    """Tell whether a number may have 64 bits: it is computed from one that was widened, or that lies in memory."""
    if type(node) is cst.Call and (dotted(node.func, "cast") or _is_conversion(node)):
        return dotted(node.args[-1].value, "int64", "uint64")
    if type(node) is cst.Call and dotted(node.func, *_REACHING):
        return True
    if type(node) is cst.Name and node.value not in seen:
        values = kernel.scope.bindings.get(node.value, ())
        return any(v is not None and is_wide(kernel, v, seen | {node.value}) for v in values)
    return any(is_wide(kernel, part, seen) for part in children(node))


def _is_conversion(call: cst.Call) -> bool:
    return type(call.func) is cst.Attribute and call.func.attr.value == "to" and len(call.args) > 0


def widened_data(program: Program, kernel: Kernel) -> frozenset[cst.CSTNode]:
    """Return the conversions to 64 bits that tell what is stored, returned or passed on, and not only where it lies."""
    body = program.function(kernel).body
    values = _values(of_kind(body, cst.Assign, cst.AugAssign, cst.AnnAssign, cst.NamedExpr, cst.For))
    waiting, seen = [end for node in of_kind(body, cst.Return, cst.Call) for end in _ends(program, node)], set()
    found: set[cst.CSTNode] = set()
    while waiting:
        for part in _read(waiting.pop()):
            if widens(part):
                found.add(part)
            if type(part) is cst.Name and part.value not in seen:
                seen.add(part.value)
                waiting += values.get(part.value, ())
    return frozenset(found)


def _values(nodes: tuple[cst.CSTNode, ...]) -> dict[str, list[cst.CSTNode]]:
    """Return for each name all expressions that what it stands for is computed from."""
    found: dict[str, list[cst.CSTNode]] = {}
    for node in nodes:
        targets, value = _bound(node)
        for name in (n for target in targets for n in of_kind(target, cst.Name)):
            found.setdefault(name.value, []).append(value)
    return found


def _bound(node: cst.CSTNode) -> tuple[tuple[cst.CSTNode, ...], cst.CSTNode]:
    """Return what a statement or expression binds, and what to."""
    if type(node) is cst.Assign:
        return tuple(one.target for one in node.targets), node.value
    if isinstance(node, (cst.AugAssign, cst.AnnAssign, cst.NamedExpr)) and node.value is not None:
        return (node.target,), node.value
    return ((node.target,), node.iter) if type(node) is cst.For else ((), node)


def _ends(program: Program, node: cst.CSTNode) -> Iterator[cst.CSTNode]:
    """Give what a statement or call stores, returns, or passes to another function of the program."""
    if type(node) is cst.Return and node.value is not None:
        yield node.value
    if type(node) is cst.Call and dotted(node.func, "store", *_ATOMICS):
        yield from _beside_address(node)
    if type(node) is cst.Call and type(node.func) is cst.Name and node.func.value in program.known:
        yield from (a.value for a in node.args)


def _read(node: cst.CSTNode) -> Sequence[cst.CSTNode]:
    """Return an expression and all that it is computed from; of a load only what is not its address or mask."""
    if not any(dotted(call.func, *_REACHING) for call in of_kind(node, cst.Call)):
        return descend(node)
    reaching = type(node) is cst.Call and dotted(node.func, *_REACHING)
    parts = _beside_address(node) if type(node) is cst.Call and reaching else children(node)
    return [node, *(inner for part in parts for inner in _read(part))]


def _beside_address(call: cst.Call) -> Iterator[cst.CSTNode]:
    for number, argument in enumerate(call.args):
        if number and (argument.keyword is None or argument.keyword.value not in _ADDRESS):
            yield argument.value
