"""What a launch has programs for: the sizes whose blocks its grid counts."""

from collections.abc import Iterator

import libcst as cst

from operators.launches import Launch
from operators.program_tree import last_name
from operators.rewrites.printing import code
from operators.rewrites.special import passed
from operators.walking import of_kind


def covers(launch: Launch, size: str, block: str, axis: int | None) -> bool:
    """Tell whether a grid counts the blocks of what a launch passes for a size, as `triton.cdiv(size, block)`.

    Along an axis that is all it may count; without one it may be a factor of any element.
    """
    elements = [tuple(_factors(launch, one)) for one in _elements(launch)]
    if axis is not None:
        elements = [one for one in elements[axis : axis + 1] if len(one) == 1]
    wanted, by = passed(launch, size), passed(launch, block)
    if wanted is None or by is None:
        return False
    same = {code(wanted), code(_value(launch, wanted))}
    counted = [call for factors in elements for call in factors if isinstance(call, cst.Call) and _is_cdiv(call)]
    return any(
        _is_block(call.args[1].value, block, by) and same & {code(n), code(_value(launch, n))}
        for call in counted
        for n in (call.args[0].value,)
    )


def _elements(launch: Launch) -> Iterator[cst.BaseExpression]:
    """Give the numbers of programs along the axes of a grid, as far as they can be read."""
    assert isinstance(launch.call.func, cst.Subscript)
    for part in launch.call.func.slice:
        node = _result(_value(launch, part.slice.value)) if isinstance(part.slice, cst.Index) else None
        if isinstance(node, (cst.Tuple, cst.List)):
            yield from (one.value for one in node.elements)
        elif node is not None:
            yield node


def _result(node: cst.CSTNode) -> cst.BaseExpression | None:
    """Return what a function of constexprs gives, or an expression itself."""
    if isinstance(node, cst.Lambda):
        return node.body
    if isinstance(node, cst.FunctionDef):
        given = [n.value for n in of_kind(node, cst.Return)]
        return given[0] if len(given) == 1 else None
    return node if isinstance(node, cst.BaseExpression) else None


def _factors(launch: Launch, node: cst.CSTNode) -> Iterator[cst.CSTNode]:
    """Give the factors of a number, also those of what it is no larger than."""
    value = _value(launch, node)
    if isinstance(value, cst.BinaryOperation) and isinstance(value.operator, cst.Multiply):
        yield from _factors(launch, value.left)
        yield from _factors(launch, value.right)
    elif isinstance(value, cst.Call) and last_name(value.func) == "min":
        for argument in value.args:
            yield from _factors(launch, argument.value)
    else:
        yield value


def _value(launch: Launch, node: cst.CSTNode) -> cst.CSTNode:
    """Return what a name of the launcher stands for, where it is bound once and that can be told."""
    values = launch.scope.bound(node.value) if isinstance(node, cst.Name) else ()
    return values[0] if len(values) == 1 and values[0] is not None else node


def _is_cdiv(call: cst.Call) -> bool:
    return last_name(call.func) == "cdiv" and len(call.args) == 2


def _is_block(node: cst.CSTNode, block: str, by: cst.BaseExpression) -> bool:
    """Tell whether an expression is `meta["BLOCK"]`, or what a launch passes for BLOCK."""
    key = node.slice[0].slice if isinstance(node, cst.Subscript) and len(node.slice) == 1 else None
    name = key.value if isinstance(key, cst.Index) else None
    return code(node) == code(by) or (isinstance(name, cst.SimpleString) and name.raw_value == block)
