"""Which values of a kernel are certainly floating point numbers of 32 bits or fewer."""

from collections.abc import Iterable
from functools import reduce

import libcst as cst

from operators.launches import Kernel
from operators.program_tree import last_name
from operators.rewrites.program import Program, bound, dotted
from operators.walking import of_kind

# NUMBER: a parameter, of which only the launch tells whether it is an integer or a float; Triton passes floats in 32
# bits. SAME: what is asked for, read by one of its own values. UNKNOWN may have 64 bits.
FLOAT, INT, NUMBER, SAME, UNKNOWN = "float", "int", "number", "same", ""
NARROW = ("float32", "float16", "bfloat16")
WHOLE = ("int1", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")
MOST, DEEPEST = 20_000, 50  # expressions looked at for a name, and names that stand for one another
_COUNTS = ("arange", "program_id", "num_programs", "cdiv")
_REAL = ("exp", "exp2", "log", "log2", "sqrt", "sqrt_rn", "rsqrt", "sigmoid", "sin", "cos", "erf", "floor", "ceil")
_KEEPING = ("sum", "max", "min", "abs", "multiple_of", "max_contiguous", "broadcast_to", "reshape", "zeros_like")
_JOINING = ("maximum", "minimum", "fma", "div_rn")
_DIVIDED = (cst.Divide, cst.DivideAssign)
STATEMENTS = (cst.Assign, cst.AugAssign, cst.AnnAssign, cst.For, cst.NamedExpr)
_BITS = (cst.BitAnd, cst.BitOr, cst.BitXor, cst.LeftShift, cst.RightShift)


def is_narrow_float(program: Program, kernel: Kernel, name: str) -> bool:
    """Tell whether every value that a name has in a kernel is a float that float32 holds."""
    return _Kinds(program, kernel).named(name, frozenset()) == FLOAT


class _Kinds:
    """Tells what the numbers of one kernel are."""

    def __init__(self, program: Program, kernel: Kernel) -> None:
        self.program, self.kernel = program, kernel
        self.left = MOST
        self.binding: dict[str, list[cst.CSTNode]] = {}
        for node in of_kind(program.function(kernel).body, *STATEMENTS):
            for name in dict.fromkeys(own_names(node)):
                self.binding.setdefault(name, []).append(node)

    def named(self, name: str, seen: frozenset[str]) -> str:
        """Return what a name is, over all values that are not bound to the type of an earlier one."""
        if name in seen:
            return SAME
        found = self.binding.get(name, [])
        given = name in self.kernel.positional or name in self.kernel.constexprs
        if given or not found:
            return NUMBER if not found else UNKNOWN
        free = [node for n, node in enumerate(found) if not self._is_fixed(node, found[:n])]
        kinds = {self._given(node, name, seen | {name}) for node in free} - {SAME}
        if UNKNOWN in kinds or not kinds:
            return UNKNOWN
        return kinds.pop() if len(kinds) == 1 else NUMBER

    def _is_fixed(self, node: cst.CSTNode, earlier: Iterable[cst.CSTNode]) -> bool:
        """Tell whether a loop gives a name a new value that it had a value before: Triton wants both of one type."""
        loops = self.program.within(node)
        return any(loop not in self.program.within(before) for before in earlier for loop in loops)

    def _given(self, node: cst.CSTNode, name: str, seen: frozenset[str]) -> str:
        """Return what a statement gives a name."""
        if isinstance(node, cst.For):
            return INT
        if isinstance(node, cst.AugAssign):
            return _joined((self.named(name, seen), self.kind(node.value, seen)), isinstance(node.operator, _DIVIDED))
        plain = isinstance(node, cst.Assign) and all(isinstance(t.target, cst.Name) for t in node.targets)
        return self.kind(node.value, seen) if plain and isinstance(node, cst.Assign) else UNKNOWN

    def kind(self, node: cst.BaseExpression, seen: frozenset[str]) -> str:
        """Return what an expression is."""
        self.left -= 1
        if self.left < 0 or len(seen) > DEEPEST:
            return UNKNOWN
        if isinstance(node, cst.Name):
            return self.named(node.value, seen)
        if isinstance(node, cst.BinaryOperation):
            both = self.kind(node.left, seen), self.kind(node.right, seen)
            if isinstance(node.operator, _BITS):
                return INT if UNKNOWN not in both else UNKNOWN
            return _joined(both, isinstance(node.operator, _DIVIDED))
        if isinstance(node, (cst.Integer, cst.Comparison)):
            return INT
        if isinstance(node, cst.UnaryOperation):
            return INT if isinstance(node.operator, cst.Not) else self.kind(node.expression, seen)
        if isinstance(node, cst.Subscript):
            return self.kind(node.value, seen)
        if isinstance(node, cst.Call):
            return self._called(node, seen)
        return FLOAT if isinstance(node, cst.Float) else UNKNOWN

    def _called(self, call: cst.Call, seen: frozenset[str]) -> str:
        values = [a.value for a in call.args]
        if isinstance(call.func, cst.Name):
            return FLOAT if call.func.value == "float" else UNKNOWN
        if last_name(call.func) == "to" or dotted(call.func, "zeros", "full", "cast"):
            return _typed(values[-1]) if values else UNKNOWN
        if dotted(call.func, *_COUNTS):
            return INT
        if not values:
            return UNKNOWN
        first = self.kind(values[0], seen)
        if dotted(call.func, *_REAL):
            return FLOAT if first in (FLOAT, NUMBER) else first if first == SAME else UNKNOWN
        if dotted(call.func, *_KEEPING):
            return first
        if dotted(call.func, "where") and len(values) == 3:
            return _joined([self.kind(v, seen) for v in values[1:]])
        return _joined([self.kind(v, seen) for v in values]) if dotted(call.func, *_JOINING) else UNKNOWN


def own_names(node: cst.CSTNode) -> tuple[str, ...]:
    """List the names that a statement itself binds, without those that statements in it bind."""
    if isinstance(node, cst.For):
        return tuple(n.value for n in of_kind(node.target, cst.Name))
    return bound(node)


def _typed(dtype: cst.BaseExpression) -> str:
    return FLOAT if dotted(dtype, *NARROW) else INT if dotted(dtype, *WHOLE) else UNKNOWN


def _joined(kinds: Iterable[str], divided: bool = False) -> str:
    """Return what an operation gives of numbers; a division of integers is a float."""
    found = reduce(_of_two, kinds)
    return FLOAT if divided and found not in (SAME, UNKNOWN) else found


def _of_two(one: str, other: str) -> str:
    both = {one, other}
    for kind in (UNKNOWN, FLOAT, SAME):
        if kind in both:
            return kind
    return one if len(both) == 1 else NUMBER
