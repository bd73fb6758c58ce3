"""Which parameters of a kernel are pointers: an address is a sum of one of them and of numbers."""

from collections.abc import Iterable

import libcst as cst

from operators.launches import Kernel, Launch
from operators.program_tree import Scope, last_name
from operators.remembering import remembered
from operators.rewrites.effects import EFFECTS, READING
from operators.rewrites.program import Program, dotted
from operators.rewrites.special import passed
from operators.walking import of_kind

ADDRESSED = ("base", "pointer")  # what tl calls an address that it is passed by name
_COMPARED = (cst.LessThan, cst.LessThanEqual, cst.GreaterThan, cst.GreaterThanEqual)
_COUNTED = ("range", "static_range", "cdiv", "minimum", "maximum", "arange")
_KEEPING = ("multiple_of", "max_contiguous", "broadcast_to", "expand_dims", "reshape", "view", "advance", "cast")
_MAKING = ("make_block_ptr", "make_tensor_descriptor")
_PLAIN = ("float", "int", "min", "max", "abs", "len", "range")
_MEASURED = ("stride", "size", "numel", "dim", "cdiv", "next_power_of_2")
Found = frozenset[str] | None
MOST, DEEPEST = 20_000, 50  # expressions looked at in a kernel, and names that stand for one another
NONE: frozenset[str] = frozenset()


@remembered
def pointers(program: Program, kernel: Kernel, above: frozenset[str] = NONE) -> Found:
    """Return the parameters that a kernel or what it calls reaches memory by, None where they cannot be told.

    `above` names the kernels that call it.
    """
    told, found = Addresses(program, kernel), NONE
    for call in kernel.scope.calls:
        if dotted(call.func, "pointer_type"):
            return None
        reached = _either(told.of(value) for value in _addresses(program, call, above | {kernel.name}))
        if reached is None:
            return None
        found |= reached
    return found


def address_of(call: cst.Call) -> cst.BaseExpression | None:
    """Return the address that a call of tl reaches, or makes tiles from."""
    if not dotted(call.func, last_name(call.func)):
        return None
    words = {*last_name(call.func).split("_")}
    if not dotted(call.func, *_MAKING) and not words & {"load", "store", "atomic"}:
        return None
    named = (a.value for a in call.args if a.keyword is not None and a.keyword.value in ADDRESSED)
    return next((a.value for a in call.args if a.keyword is None), None) or next(named, None)


def _addresses(program: Program, call: cst.Call, above: frozenset[str]) -> list[cst.BaseExpression]:
    """List what a call takes as addresses; a function that is not the program's own may take any argument as one."""
    if type(call.func) is not cst.Name:
        own = address_of(call)
        return [] if own is None else [own]
    if call.func.value in _PLAIN:
        return []
    callee = program.kernels.get(call.func.value) if call.func.value not in above else None
    reached = pointers(program, callee, above) if callee is not None else None
    if callee is None or reached is None:
        return [a.value for a in call.args]
    names = [a.keyword.value if a.keyword else _at(callee.positional, n) for n, a in enumerate(call.args)]
    return [a.value for a, name in zip(call.args, names, strict=True) if name in reached]


def _at(names: tuple[str, ...], place: int) -> str:
    return names[place] if place < len(names) else ""


class Addresses:
    """Tells which pointers the addresses of one kernel are made of."""

    def __init__(self, program: Program, kernel: Kernel) -> None:
        function = program.function(kernel)
        self.parameters = {*kernel.positional, *(p.name.value for p in function.params.kwonly_params)}
        self.parameters -= kernel.constexprs.keys()
        launches = [launch for launch in program.launches if launch.kernel.scope is kernel.scope]
        self.numbers = _counting(of_kind(function.body, cst.BinaryOperation, cst.Comparison, cst.Call)) | {
            p for p in self.parameters if launches and _measured(launches, p)
        }
        self.left = MOST
        self.known: dict[tuple[cst.BaseExpression, frozenset[str]], tuple[Found, int]] = {}  # and what it took
        self.values: dict[str, list[cst.BaseExpression]] = {}
        for node in of_kind(function.body, cst.Assign):
            for name in (n for t in node.targets for n in of_kind(t.target, cst.Name)):
                self.values.setdefault(name.value, []).append(node.value)

    def of(self, node: cst.BaseExpression, seen: frozenset[str] = NONE) -> Found:
        """Return the parameters that may be the pointer in an expression, None where numbers may be among them."""
        known = self.known.get((node, seen))
        if known is not None and known[1] <= self.left:
            self.left -= known[1]
            return known[0]
        before = self.left
        found = self._read(node, seen)
        if self.left >= 0:
            self.known[node, seen] = found, before - self.left
        return found

    def _read(self, node: cst.BaseExpression, seen: frozenset[str]) -> Found:
        self.left -= 1
        if self.left < 0 or len(seen) > DEEPEST:
            return None
        if type(node) is cst.Name:
            own = {node.value} & self.parameters - self.numbers
            values = self.values.get(node.value, ()) if node.value not in seen else ()
            return _either([frozenset(own), *(self.of(v, seen | {node.value}) for v in values)])
        if type(node) is cst.BinaryOperation:
            left = self.of(node.left, seen)
            right = self.of(node.right, seen) if type(node.operator) is cst.Add else NONE
            return _summed(left, right) if isinstance(node.operator, (cst.Add, cst.Subtract)) else NONE
        if type(node) is cst.Subscript:
            return self.of(node.value, seen)
        if type(node) is cst.IfExp:
            return _either([self.of(node.body, seen), self.of(node.orelse, seen)])
        if type(node) is cst.Tuple:
            return _either([self.of(e.value, seen) for e in node.elements])
        return self._called(node, seen) if type(node) is cst.Call else NONE

    def _called(self, call: cst.Call, seen: frozenset[str]) -> Found:
        values = [a.value for a in call.args]
        if type(call.func) is cst.Name:
            return _either([self.of(v, seen) for v in values])
        if dotted(call.func, "where"):
            return _either([self.of(v, seen) for v in values[1:]])
        if dotted(call.func, *_MAKING):
            base = address_of(call)
            return None if base is None else self.of(base, seen)
        if dotted(call.func, *_KEEPING):
            return self.of(values[0], seen) if values else None
        given = dotted(call.func, last_name(call.func)) or {*last_name(call.func).split("_")} & (EFFECTS | READING)
        number = given or last_name(call.func) == "to"  # a pointer stays none where it is given another type
        return NONE if number or type(call.func) is not cst.Attribute else self.of(call.func.value, seen)


def _either(every: Iterable[Found]) -> Found:
    found = NONE
    for one in every:
        if one is None:
            return None
        found |= one
    return found


def _summed(left: Found, right: Found) -> Found:
    """Return the pointer of a sum: of two that may be one, that which is called so."""
    if left is None or right is None:
        return None
    if not left or not right:
        return left | right
    named = frozenset(name for name in left | right if name.endswith("_ptr"))
    return named or None


def _counting(nodes: Iterable[cst.CSTNode]) -> set[str]:
    """Return the names that are multiplied, compared or counted to, which a pointer is not."""
    found: set[str] = set()
    for node in nodes:
        if type(node) is cst.BinaryOperation and not isinstance(node.operator, (cst.Add, cst.Subtract)):
            found |= _plain(node.left) | _plain(node.right)
        elif type(node) is cst.Comparison and all(isinstance(c.operator, _COMPARED) for c in node.comparisons):
            found |= _plain(node.left).union(*(_plain(c.comparator) for c in node.comparisons))
        elif type(node) is cst.Call and last_name(node.func) in _COUNTED:
            found |= NONE.union(*(_plain(a.value) for a in node.args))
    return found


def _plain(node: cst.BaseExpression) -> frozenset[str]:
    """Return the names that a sum is made of."""
    if type(node) is cst.BinaryOperation:
        return _plain(node.left) | _plain(node.right)
    return frozenset((node.value,)) if type(node) is cst.Name else NONE


def _measured(launches: Iterable[Launch], parameter: str) -> bool:
    values = [(launch, passed(launch, parameter)) for launch in launches]
    return all(value is not None and _is_number(value, launch.scope) for launch, value in values)


def _is_number(node: cst.CSTNode, scope: Scope, seen: frozenset[str] = NONE) -> bool:
    """Tell whether a launcher's expression is certainly a number."""
    if type(node) is cst.BinaryOperation:
        return _is_number(node.left, scope, seen) and _is_number(node.right, scope, seen)
    if type(node) is cst.Call:
        return last_name(node.func) in (_PLAIN if type(node.func) is cst.Name else _MEASURED)
    if type(node) is cst.Subscript:
        return last_name(node.value) == "shape" or (type(node.value) is cst.Call and _is_number(node.value, scope))
    if type(node) is cst.Name and node.value not in seen:
        values = scope.bound(node.value)
        return bool(values) and all(v is not None and _is_number(v, scope, seen | {node.value}) for v in values)
    return isinstance(node, (cst.Integer, cst.Float))
