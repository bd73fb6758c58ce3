"""Which calls do more than give a value: they change memory or read it, or can be seen in some other way."""

from functools import lru_cache

import libcst as cst

from operators.program_tree import last_name, of_kind
from operators.rewrites.program import dotted

PLAIN = ("float", "int", "min", "max", "abs", "len")  # Python's own, which compute
# words of the names of such calls, of tl's as of a descriptor's: atomic_add, inline_asm_elementwise, desc.load
EFFECTS = frozenset(
    ("store", "atomic", "scatter", "barrier", "print", "assert", "asm", "advance", "globaltimer", "gdc")
)
READING = frozenset(("load", "gather"))


@lru_cache(maxsize=8192)
def has_effects(node: cst.CSTNode) -> bool:
    """Tell whether anything in a statement may write to memory: also a call of a function of the program's own."""
    own = (isinstance(call.func, cst.Name) and call.func.value not in PLAIN for call in _calls(node))
    return any(own) or shows_effects(node)


@lru_cache(maxsize=8192)
def shows_effects(node: cst.CSTNode) -> bool:
    """Tell whether a call in a statement has effects by its name."""
    return any(EFFECTS & _words(call) for call in _calls(node))


@lru_cache(maxsize=8192)
def reads_memory(node: cst.CSTNode) -> bool:
    """Tell whether anything in a statement loads, by tl.load or by a descriptor's method; tl.gather reads a block."""
    return any(READING & _words(call) and not dotted(call.func, "gather") for call in _calls(node))


def _calls(node: cst.CSTNode) -> tuple[cst.Call, ...]:
    return of_kind(node, cst.Call)


def _words(call: cst.Call) -> set[str]:
    return {*last_name(call.func).split("_")}
