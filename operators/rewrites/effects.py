"""Which calls do more than give a value: they change memory or read it, or can be seen in some other way."""

import libcst as cst

from operators.program_tree import last_name
from operators.remembering import remembered
from operators.rewrites.printing import code
from operators.rewrites.program import Program, dotted
from operators.walking import of_kind

PLAIN = ("float", "int", "min", "max", "abs", "len")  # Python's own, which compute
# words of the names of such calls, of tl's as of a descriptor's: atomic_add, inline_asm_elementwise, desc.load
EFFECTS = frozenset(
    ("store", "atomic", "scatter", "barrier", "print", "assert", "asm", "advance", "globaltimer", "gdc")
)
READING = frozenset(("load", "gather"))


# where functions come from that do nothing but give a value, or whose names say what else they do
_KNOWN = ("triton", "math")


@remembered
def has_effects(program: Program, node: cst.CSTNode) -> bool:
    """Tell whether anything in a statement may write to memory: also a call of a function of the program's own."""
    own = (type(call.func) is cst.Name and call.func.value not in PLAIN for call in of_kind(node, cst.Call))
    return any(own) or shows_effects(program, node)


@remembered
def shows_effects(program: Program, node: cst.CSTNode, above: frozenset[str] = frozenset()) -> bool:
    """Tell whether a call in a statement has effects: by its name, in its lines, or for all that is known of it.

    `above` names the program's functions that the statement is looked at for.
    """
    return any(EFFECTS & _words(call) or _may_act(program, call, above) for call in of_kind(node, cst.Call))


@remembered
def reads_memory(node: cst.CSTNode) -> bool:
    """Tell whether anything in a statement loads, by tl.load or by a descriptor's method; tl.gather reads a block."""
    return any(READING & _words(call) and not dotted(call.func, "gather") for call in of_kind(node, cst.Call))


def _may_act(program: Program, call: cst.Call, above: frozenset[str]) -> bool:
    """Tell whether a function has effects in its lines, or is another module's, of which nobody knows."""
    node: cst.CSTNode = call.func
    while type(node) is cst.Attribute:
        node = node.value
    if type(node) is not cst.Name or node.value in above:
        return False
    own = program.known.get(node.value)
    if own is not None:
        return shows_effects(program, program.function(own).body, above | {node.value})
    return node.value in program.tree.top.bindings and node.value not in _known(program)


@remembered
def _known(program: Program) -> frozenset[str]:
    """Return the names that a program imports from nowhere but where it is known what functions do."""
    origins: dict[str, set[str]] = {}
    for line in of_kind(program.tree.module, cst.Import, cst.ImportFrom):
        home = line.module if type(line) is cst.ImportFrom else None
        relative = type(line) is cst.ImportFrom and bool(line.relative)
        for one in () if type(line.names) is cst.ImportStar else line.names:
            name = one.evaluated_alias or one.evaluated_name.partition(".")[0]
            root = "" if relative else (code(home) if home is not None else one.evaluated_name).partition(".")[0]
            origins.setdefault(name, set()).add(root)
    return frozenset(name for name, roots in origins.items() if roots.issubset(_KNOWN))


def _words(call: cst.Call) -> set[str]:
    return {*last_name(call.func).split("_")}
