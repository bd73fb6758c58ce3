"""Makes PyTorch's operations on whole tensors wrong: matrix products, gathers and transpositions.

What stands for them is plain and runs wherever they run, so that a task's trials have to tell the two apart.
"""

import ast
from collections.abc import Iterator
from typing import Any

Change = tuple[Any, str, str]  # the node, the kind of a change, and what would stand there

TILE = 16  # of a product's sum or a row's end: the least that a matrix unit takes
_PRODUCTS = ("matmul", "mm", "bmm")
_GATHERS = {"embedding": (1, 0), "index_select": (0, 2), "gather": (0, 2), "take_along_dim": (0, 1)}  # data and index
_MOVES = ("t", "transpose", "permute", "movedim", "swapaxes")
_MODULES = ("torch", "F")


def changes(node: ast.AST) -> Iterator[Change]:
    """Yield what may be changed of one operation, if it is one of these."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.MatMult):
        yield from _of_product(node, node.left, node.right)
    elif isinstance(node, ast.Subscript) and isinstance(node.slice, (ast.Name, ast.Attribute)):
        yield node.slice, "change a constant", f"{ast.unparse(node.slice)} - 1"
    elif isinstance(node, ast.Call):
        name, given = ast.unparse(node.func).rpartition(".")[2], _given(node)
        if name in _PRODUCTS and len(given) == 2:
            yield from _of_product(node, *given)
        elif name in _GATHERS and len(given) > max(_GATHERS[name]):
            yield from _of_gather(node, *(given[place] for place in _GATHERS[name]))
        elif name in _MOVES and given:
            yield from _of_move(node, given[0])


def _given(node: ast.Call) -> list[ast.expr]:
    """Return what a function is called with, or a method with its tensor first."""
    function = node.func
    if not isinstance(function, ast.Attribute) or ast.unparse(function.value).split(".")[0] in _MODULES:
        return node.args
    return [function.value, *node.args]


def _of_product(node: Any, left: ast.expr, right: ast.expr) -> Iterator[Change]:
    """Round an operand or the result, read an operand across, and leave the sum's ends out."""
    one, other, whole = (f"({ast.unparse(n)})" for n in (left, right, node))
    for operand in (left, right):
        yield operand, "lower a precision", _rounded(operand)
        yield operand, "swap an axis", _across(operand)
    yield node, "lower a precision", f"{whole}.bfloat16().to({one}.dtype)"
    for kind, ends in (("skip a tile", f":-{TILE}"), ("skip a tile", f"{TILE}:"), ("change a constant", ":-1")):
        yield node, kind, f"({one}[..., {ends}] @ {other}[..., {ends}, :])"


def _of_gather(node: ast.Call, data: ast.expr, index: ast.expr) -> Iterator[Change]:
    """Take the neighbour's row, round or turn what is taken from, and lose the end of the result."""
    yield index, "change a constant", f"({ast.unparse(index)} - 1).clamp(min=0)"
    yield data, "lower a precision", _rounded(data)
    yield data, "swap an axis", _across(data)
    yield node, "skip a tile", _cut(node)


def _of_move(node: ast.Call, data: ast.expr) -> Iterator[Change]:
    """Give the shape without the order, round what is moved, move it one too far, and lose the end of the result."""
    yield node, "swap an axis", f"({ast.unparse(data)}).reshape(({ast.unparse(node)}).shape)"
    yield node, "lower a precision", _rounded(node)
    yield node, "change a constant", f"({ast.unparse(node)}).roll(1, -1)"
    yield node, "skip a tile", _cut(node)


def _rounded(node: ast.expr) -> str:
    whole = f"({ast.unparse(node)})"
    return f"{whole}.bfloat16().type_as({whole})"


def _across(node: ast.expr) -> str:
    """Read a matrix with its strides exchanged, in the shape that it has."""
    whole = f"({ast.unparse(node)})"
    return f"{whole}.mT.reshape({whole}.shape)"


def _cut(node: ast.expr) -> str:
    """Leave zeros where a row's last tile would be."""
    whole = f"({ast.unparse(node)})"
    return f"torch.nn.functional.pad({whole}[..., :-{TILE}], (0, {TILE}))[..., : {whole}.shape[-1]]"
