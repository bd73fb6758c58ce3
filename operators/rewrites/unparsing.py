"""Writes Python's trees of expressions as `ast.unparse` does, and faster: sums, comparisons, calls, names and numbers.

What holds anything else is left to `ast.unparse`.
"""

import ast
from typing import Any

_COMPARED, _ATOM = 1, 20  # how closely operators hold their sides together
_SIGNS: dict[type, tuple[str, int]] = {
    ast.BitOr: ("|", 2), ast.BitXor: ("^", 3), ast.BitAnd: ("&", 4), ast.LShift: ("<<", 5), ast.RShift: (">>", 5),
    ast.Add: ("+", 6), ast.Sub: ("-", 6), ast.Mult: ("*", 7), ast.Div: ("/", 7), ast.FloorDiv: ("//", 7),
    ast.Mod: ("%", 7), ast.MatMult: ("@", 7),
}  # fmt: skip
_TESTS: dict[type, str] = {
    ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=", ast.Eq: "==", ast.NotEq: "!=",
}  # fmt: skip


class _Unknown(Exception):
    """A node of another kind."""


def unparsed(node: ast.expr) -> str:
    """Return `ast.unparse` of an expression."""
    try:
        return _text(node, 0)
    except _Unknown:
        return ast.unparse(node)


def _text(node: Any, around: int) -> str:
    """Write an expression, in brackets where what is around it holds more closely than its operator."""
    kind = type(node)
    if kind is ast.Name:
        return str(node.id)
    if kind is ast.Constant and type(node.value) is int:
        return repr(node.value)
    if kind is ast.BinOp and type(node.op) in _SIGNS:
        sign, close = _SIGNS[type(node.op)]
        text = f"{_text(node.left, close)} {sign} {_text(node.right, close + 1)}"
        return f"({text})" if around > close else text
    if kind is ast.Attribute and type(node.value) in (ast.Name, ast.Attribute):
        return f"{_text(node.value, _ATOM)}.{node.attr}"
    if kind is ast.Call:
        named = [f"{_name(one)}={_text(one.value, 0)}" for one in node.keywords]
        return f"{_text(node.func, _ATOM)}({', '.join([_text(one, 0) for one in node.args] + named)})"
    if kind is ast.Compare:
        rest = [f" {_test(op)} {_text(one, _COMPARED + 1)}" for op, one in zip(node.ops, node.comparators, strict=True)]
        text = f"{_text(node.left, _COMPARED + 1)}{''.join(rest)}"
        return f"({text})" if around > _COMPARED else text
    raise _Unknown


def _test(sign: ast.cmpop) -> str:
    if type(sign) not in _TESTS:
        raise _Unknown
    return _TESTS[type(sign)]


def _name(argument: ast.keyword) -> str:
    if argument.arg is None:
        raise _Unknown
    return argument.arg
