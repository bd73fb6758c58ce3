"""Stores that nobody can see: another one writes the same addresses before anything in the program reads them."""

from collections.abc import Iterator

import libcst as cst

from operators.rewrites.effects import has_effects, reads_memory
from operators.rewrites.printing import code
from operators.rewrites.program import Program, bound, dotted
from operators.walking import named

Address = tuple[str, ...]  # the text of everything that a store is passed but the value


def overwritten(program: Program, block: cst.IndentedBlock) -> Iterator[int]:
    """Count the statements of a block that are such stores; any statement that is not understood may read."""
    waiting: dict[Address, tuple[int, frozenset[str]]] = {}
    for index, line in enumerate(block.body):
        call = _store(line)
        looked_at = line if call is None else [argument.value for argument in call.args]
        if _may_read(program, looked_at) or (call is None and not _assigns(line)):
            waiting.clear()
        elif call is not None:
            address = _address(call)
            if address in waiting:
                yield waiting[address][0]
            waiting[address] = (index, named(call))
        changed = set(bound(line))
        waiting = {address: (at, names) for address, (at, names) in waiting.items() if not names & changed}


def _store(line: cst.CSTNode) -> cst.Call | None:
    """Return the call of a line that is one plain `tl.store(...)`."""
    if type(line) is not cst.SimpleStatementLine or len(line.body) != 1 or type(line.body[0]) is not cst.Expr:
        return None
    call = line.body[0].value
    plain = type(call) is cst.Call and dotted(call.func, "store") and len(call.args) > 1
    return call if plain and type(call) is cst.Call and all(_plain(n, a) for n, a in enumerate(call.args)) else None


def _plain(place: int, argument: cst.Arg) -> bool:
    """Tell whether an argument is the pointer or the value by place, or another one by name."""
    return not argument.star and (argument.keyword is None) == (place < 2)


def _address(call: cst.Call) -> Address:
    named = (f"{a.keyword.value}={code(a.value)}" for a in call.args if a.keyword)
    return (code(call.args[0].value), *sorted(named))


def _assigns(line: cst.CSTNode) -> bool:
    return type(line) is cst.SimpleStatementLine and all(type(one) is cst.Assign for one in line.body)


def _may_read(program: Program, looked_at: cst.CSTNode | list[cst.BaseExpression]) -> bool:
    nodes = looked_at if isinstance(looked_at, list) else [looked_at]
    return any(reads_memory(node) or has_effects(program, node) for node in nodes)
