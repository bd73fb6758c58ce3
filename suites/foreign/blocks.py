"""Writes a Triton program with blocks of half the size: its sums are taken in another order, and are as right."""

import ast

from suites.parsing import parse

LEAST = 32  # a smaller block is a limit of the hardware, or the size of a head


def halved(source: str) -> str | None:
    """Return a program whose stated block sizes are halved; None where it states none.

    Sizes are whole numbers, powers of two, under a name with BLOCK in it: given to a launch, in a configuration of
    autotune, as a default, or assigned.
    """
    tree, found = parse(source), False
    for node in ast.walk(tree):
        for name, value in _named(node):
            if "BLOCK" in name.upper() and isinstance(value, ast.Constant) and _halvable(value.value):
                value.value //= 2  # type: ignore[operator]
                found = True
    return ast.unparse(tree) if found else None


def _named(node: ast.AST) -> list[tuple[str, ast.expr | None]]:
    """Return what a node gives names to."""
    if isinstance(node, ast.keyword):
        return [(node.arg or "", node.value)]
    if isinstance(node, ast.Assign):
        return [(t.id, node.value) for t in node.targets if isinstance(t, ast.Name)]
    if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
        return [(node.target.id, node.value)]
    if isinstance(node, ast.Dict):
        keys = [str(k.value) if isinstance(k, ast.Constant) else "" for k in node.keys]
        return list(zip(keys, node.values, strict=True))
    if isinstance(node, ast.arguments):
        plain = [*node.posonlyargs, *node.args]
        pairs = [*zip(plain[len(plain) - len(node.defaults) :], node.defaults, strict=True),
                 *zip(node.kwonlyargs, node.kw_defaults, strict=True)]  # fmt: skip
        return [(a.arg, value) for a, value in pairs]
    return []


def _halvable(value: object) -> bool:
    return type(value) is int and value >= LEAST and value & (value - 1) == 0
