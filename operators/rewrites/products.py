"""Sums of products as one product of matrices: matrix units do what vector lanes spell out in three dimensions."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import libcst as cst

from operators.launches import Kernel
from operators.program_tree import Edit, Path, copied
from operators.rewrites.printing import code
from operators.rewrites.program import Program, Site, bound, dotted, removed
from operators.rewrites.programs import becoming, launched
from operators.rewrites.templates import expression
from operators.walking import named

LEAST = 16  # rows and columns of a tile that matrix units take
CHOICES = (("ieee", True), ("ieee", False), ("tf32", True))  # the precision; whether operands keep their own dtype
_VIEWS = {":": True, "None": False}


@dataclass(frozen=True, slots=True)
class _Product:
    """The two matrices of a sum of products, as texts that give (rows, sum) and (sum, columns) with `tl.trans`."""

    left: cst.BaseExpression
    left_turned: bool
    right: cst.BaseExpression
    right_turned: bool

    def dot(self, precision: str, own: bool) -> str:
        """Return the product; `own` leaves conversions to float32 out, where both operands have one."""
        left, right = (_inner(self.left), _inner(self.right)) if own and self.converted else (self.left, self.right)
        a, b = (
            f"tl.trans({code(one)})" if turned else code(one)
            for one, turned in ((left, self.left_turned), (right, self.right_turned))
        )
        return f'tl.dot({a}, {b}, input_precision="{precision}")'

    @property
    def converted(self) -> bool:
        """Tell whether both operands were converted to float32."""
        return _inner(self.left) is not self.left and _inner(self.right) is not self.right


@dataclass(frozen=True, slots=True)
class Products:
    """`tl.dot(a, b)` in the place of `tl.sum(a[:, :, None] * b[None, :, :], axis=1)`, in any order of dimensions."""

    name: str = "products-to-dot"
    intent: str = "multiply on matrix units what was multiplied and added up lane by lane"

    def sites(self, program: Program) -> Iterator[Site]:
        """Find such sums; how exactly float32 is multiplied is a choice, and whether operands keep their dtype."""
        for group, (call, kernel) in enumerate(program.calls("sum"), 1):
            axis, factors = _axis(call), _factors(program, kernel, call)
            found = None if axis is None or factors is None else _product(factors, axis)
            if found is None or factors is None:
                continue
            edits = [*_line(program, factors), *_enlarged(program, kernel)]
            for precision, own in CHOICES:
                if own or found.converted:
                    text = found.dot(precision, own)
                    edit: tuple[Path, Edit] = (program.tree.path(call), partial(becoming, text=text))
                    yield Site(text, (edit, *edits), group=group)


def _axis(call: cst.Call) -> int | None:
    """Return the axis of a sum that says nothing more."""
    named = [a for a in call.args[1:] if a.keyword is None or a.keyword.value == "axis"]
    value = named[0].value if len(named) == 1 == len(call.args) - 1 else None
    return int(value.value, 0) if isinstance(value, cst.Integer) else None


def _factors(program: Program, kernel: Kernel, call: cst.Call) -> cst.BinaryOperation | None:
    """Return the product that is added up; one with a name must be read nowhere else, nor what it is made of change."""
    value: cst.CSTNode | None = call.args[0].value if call.args else None
    if isinstance(value, cst.Name):
        name, values = value.value, kernel.scope.bindings.get(value.value, ())
        value = values[0] if len(values) == 1 and [read.value for read in kernel.scope.reads].count(name) == 1 else None
        if value is None or _changed(program, value, call):
            return None
    product = isinstance(value, cst.BinaryOperation) and isinstance(value.operator, cst.Multiply)
    return value if product and isinstance(value, cst.BinaryOperation) else None


def _changed(program: Program, value: cst.CSTNode, call: cst.Call) -> bool:
    """Tell whether anything that a value is made of may be another between its line and that of a call."""
    (block, first), (other, last) = program.place(value), program.place(call)
    lines = block.body[first + 1 : last + 1] if block is other else ()  # type: ignore[attr-defined]
    read = named(value)
    return block is not other or any(read.intersection(bound(line)) for line in lines)


def _product(factors: cst.BinaryOperation, axis: int) -> _Product | None:
    """Return what is multiplied, where one factor has the rows, the other one the columns, and both what is summed."""
    views = [_view(side) for side in (factors.left, factors.right)]
    rest = [n for n in range(3) if n != axis]
    for one, other in (views, views[::-1]):
        if one is None or other is None or not (one[1][axis] and other[1][axis]) or len(rest) != 2:
            return None
        rows, columns = rest
        if [v[1][n] for v in (one, other) for n in (rows, columns)] == [True, False, False, True]:
            return _Product(one[0], axis < rows, other[0], columns < axis)
    return None


def _view(node: cst.BaseExpression) -> tuple[cst.BaseExpression, tuple[bool, ...]] | None:
    """Return what `x[:, None, :]` is a view of, and which of three dimensions it has itself."""
    if not isinstance(node, cst.Subscript):
        return None
    parts = tuple(_VIEWS.get(code(part.slice)) for part in node.slice)
    known = tuple(part for part in parts if part is not None)
    return (node.value, known) if len(parts) == len(known) == 3 and sum(known) == 2 else None


def _line(program: Program, factors: cst.BinaryOperation) -> Iterator[tuple[Path, Edit]]:
    """Give the edit that drops the line in which a product has got a name."""
    assigned, _ = program.tree.parent(factors)
    if isinstance(assigned, cst.Assign):
        yield program.tree.path(program.tree.parent(assigned)[0]), removed


def _enlarged(program: Program, kernel: Kernel) -> Iterator[tuple[Path, Edit]]:
    """Give the edits of launches that pass a smaller number for the size of a block than matrix units take."""
    for launch in launched(program, kernel):
        small = {
            a.keyword.value: str(LEAST)
            for a in launch.call.args
            if a.keyword is not None and a.keyword.value in kernel.facts.ranged and _few(a.value)
        }
        if small:
            yield program.tree.path(launch.call), partial(_passing, values=small)


def _few(value: cst.BaseExpression) -> bool:
    return isinstance(value, cst.Integer) and value.evaluated_value < LEAST


def _passing(call: cst.Call, values: dict[str, str]) -> cst.Call:
    named = [(a, values.get(a.keyword.value if a.keyword is not None else "")) for a in call.args]
    return copied(call, {"args": [a if text is None else copied(a, {"value": expression(text)}) for a, text in named]})


def _inner(node: cst.BaseExpression) -> cst.BaseExpression:
    """Return what a conversion to float32 is of, or the expression itself."""
    to = isinstance(node, cst.Call) and isinstance(node.func, cst.Attribute) and node.func.attr.value == "to"
    if isinstance(node, cst.Call) and isinstance(node.func, cst.Attribute) and to and len(node.args) == 1:
        return node.func.value if dotted(node.args[0].value, "float32") else node
    return node
