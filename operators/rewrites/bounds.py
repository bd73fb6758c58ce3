"""What masks say, part by part: that the offsets of a block stay below an end that one number tells."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import reduce
from typing import Any

import libcst as cst

from operators.launches import Kernel
from operators.program_tree import copied
from operators.remembering import remembered
from operators.rewrites.printing import code
from operators.rewrites.program import Program, dotted, keyword
from operators.rewrites.sums import addends
from operators.rewrites.templates import with_parentheses
from operators.walking import of_kind

DEEPEST = 8  # names in what names stand for: a mask of m & m, where m is of l & l, has twice the parts at each
_HINTS = ("multiple_of", "max_contiguous")
_NUMBERS = ("program_id", "num_programs", "cdiv", "minimum", "maximum", "load", "cast")


@dataclass(frozen=True, slots=True)
class Bound:
    """The offsets `start` to `start + size` lie below `end`, all three as texts; `start` is "0" where nothing is added.

    `end` is what a mask compares with. `taken` is what that was taken from a larger size, which is `whole`: in
    `offs < left` with `left = n - start` they are `start` and `n`; without such a difference "0" and `end`.
    """

    start: str
    size: str
    end: str
    whole: str
    taken: str

    @property
    def holds(self) -> str:
        """The test, on numbers alone, that every offset is inside."""
        sum_ = self.size if self.start == "0" else f"{self.start} + {self.size}"
        return f"{sum_} <= {self.end}"

    def steps_with(self, variable: str, over: str, step: str) -> bool:
        """Tell whether this holds in every whole step of a loop over `over` from 0 on in steps of `step`."""
        begun = (self.start, self.taken) in ((variable, "0"), ("0", variable))
        return begun and self.size == step and self.whole == over


@dataclass(frozen=True, slots=True, eq=False)
class Masks:
    """Reads the masks of a kernel; `variables` are those of its loops, `told` says which other names are numbers."""

    kernel: Kernel
    variables: frozenset[str]
    told: dict[str, bool] = field(default_factory=dict)

    def bounds(self, mask: cst.BaseExpression) -> tuple[Bound, ...]:
        """Return the parts of a mask that are bounds."""
        return tuple(bound for _, bound in _read(self, mask) if bound is not None)

    def without(self, mask: cst.BaseExpression, known: Callable[[Bound], bool]) -> cst.BaseExpression | None:
        """Return what is left of a mask of which some parts are known to hold; the mask itself where none is."""
        parts = _read(self, mask)
        left = [part for part, bound in parts if bound is None or not known(bound)]
        if len(left) == len(parts):
            return mask
        bare = [part if part.lpar or type(part) is cst.Name else with_parentheses(part) for part in left]
        return reduce(lambda both, part: cst.BinaryOperation(both, cst.BitAnd(), part), bare) if bare else None

    def read(self, mask: cst.BaseExpression) -> Iterator[tuple[cst.BaseExpression, Bound | None]]:
        """Give the parts of a mask, each with the bound that it is."""
        for part in self._parts(mask):
            yield part, _bound(self, part)

    def _parts(self, mask: cst.BaseExpression, within: tuple[cst.CSTNode, ...] = ()) -> Iterator[cst.BaseExpression]:
        """Give the parts that must all hold, also those that a name stands for; a name of which none is read stays."""
        if type(mask) is cst.BinaryOperation and type(mask.operator) is cst.BitAnd:
            yield from self._parts(mask.left, within)
            yield from self._parts(mask.right, within)
            return
        if type(mask) is not cst.Name:
            yield mask
            return
        value = self._value(mask)
        known = isinstance(value, (cst.BinaryOperation, cst.Comparison)) and value not in within
        inner = list(self._parts(value, (*within, value))) if value and known and len(within) < DEEPEST else []
        yield from inner if any(_bound(self, part) for part in inner) else [mask]

    def bound(self, part: cst.BaseExpression) -> Bound | None:
        """Return the bound that a part of a mask is."""
        if type(part) is cst.Subscript:  # mask[:, None]
            part = self._value(part.value) or part.value
        if type(part) is not cst.Comparison or len(part.comparisons) != 1:
            return None
        only = part.comparisons[0]
        lanes, end = self._lanes(part.left), only.comparator
        if lanes is None or type(only.operator) is not cst.LessThan or not self._is_number(end):
            return None
        value = self._value(end) or end
        if type(value) is cst.BinaryOperation and type(value.operator) is cst.Subtract:
            return Bound(*lanes, code(end), code(value.left), code(value.right))
        return Bound(*lanes, code(end), code(end), "0")

    def _lanes(self, node: cst.BaseExpression) -> tuple[str, str] | None:
        """Return where offsets begin and how many they are."""
        inner: cst.BaseExpression | None = node
        seen: set[cst.CSTNode] = set()
        while inner is not None and inner not in seen:
            seen.add(inner)
            node, inner = inner, self._inner(inner)
        *starts, last = addends(node)
        last = last.value if type(last) is cst.Subscript else last
        if type(last) is not cst.Call or not dotted(last.func, "arange") or len(last.args) != 2:
            return None
        first, size = (a.value for a in last.args)
        if code(first) != "0" or type(size) is not cst.Name or not all(map(self._is_number, starts)):
            return None
        return " + ".join(map(code, starts)) or "0", size.value

    def _inner(self, node: cst.BaseExpression) -> cst.BaseExpression | None:
        """Return what a view, a conversion, a hint or a name is of."""
        if type(node) is cst.Subscript:
            return node.value
        if type(node) is not cst.Call:
            return self._value(node)
        if type(node.func) is cst.Attribute and node.func.attr.value == "to":
            return node.func.value
        return node.args[0].value if dotted(node.func, *_HINTS) and node.args else None

    def _value(self, node: cst.BaseExpression) -> cst.BaseExpression | None:
        """Return what a name is bound to, where it is the same in every place."""
        return _value(self.kernel, node.value) if type(node) is cst.Name else None

    def _is_number(self, node: cst.BaseExpression) -> bool:
        """Tell whether an expression is surely one number and no block of them."""
        if not all(map(_gives_number, of_kind(node, cst.Call))):
            return False
        return all(self._names_number(part.value) for part in of_kind(node, cst.Name))

    def _names_number(self, name: str) -> bool:
        if name in self.kernel.positional or name in self.kernel.constexprs or name in self.variables:
            return True
        if name not in self.told:
            self.told[name] = False  # of a name within its own value: none on the way to it is a number either
            values = self.kernel.scope.bindings.get(name, ())  # none of a module or a type
            self.told[name] = all(isinstance(one, cst.BaseExpression) and self._is_number(one) for one in values)
        return self.told[name]


@remembered
def _value(kernel: Kernel, name: str) -> cst.BaseExpression | None:
    values = kernel.scope.bindings.get(name, [])
    found = [value for value in values if isinstance(value, cst.BaseExpression)]
    if not found or len(found) < len(values):
        return None
    return found[0] if len(found) == 1 or len(set(map(code, found))) == 1 else None


@remembered
def _bound(own: Masks, part: cst.BaseExpression) -> Bound | None:
    return own.bound(part)


@remembered
def _read(own: Masks, mask: cst.BaseExpression) -> tuple[tuple[cst.BaseExpression, Bound | None], ...]:
    return tuple(own.read(mask))


@remembered
def masks(program: Program) -> dict[str, Masks]:
    """Return what reads the masks of each kernel, by its name."""
    found: dict[str, set[str]] = {name: set() for name in program.kernels}
    for loop, _, kernel in program.loops():
        found[kernel.name] |= {loop.target.value} if type(loop.target) is cst.Name else set()
    return {name: Masks(kernel, frozenset(found[name])) for name, kernel in program.kernels.items()}


@remembered
def accesses(node: cst.CSTNode) -> tuple[tuple[cst.Call, cst.BaseExpression], ...]:
    """Return the loads and stores in a node that have a mask, and the masks."""
    calls = (call for call in of_kind(node, cst.Call) if dotted(call.func, "load", "store"))
    return tuple((call, mask.value) for call in calls if (mask := keyword(call, "mask")) is not None)


def with_mask(call: cst.Call, mask: cst.BaseExpression | None) -> cst.Call:
    """Return a load or store with another mask, or with none and then with nothing for what lies outside."""
    gone = () if mask is not None else ("mask", "other")
    kept: list[Any] = [a for a in call.args if a.keyword is None or a.keyword.value not in gone]
    if mask is not None:
        kept = [copied(a, {"value": mask}) if a.keyword is not None and a.keyword.value == "mask" else a for a in kept]
    last = copied(kept[-1], {"comma": call.args[-1].comma})
    return copied(call, {"args": (*kept[:-1], last)})


def _gives_number(call: cst.Call) -> bool:
    return dotted(call.func, *_NUMBERS) or (type(call.func) is cst.Attribute and call.func.attr.value == "to")
