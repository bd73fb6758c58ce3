"""Says which modules a sealed program may import, so that a wrong turn is named with its line before anything runs.

This is policy and no wall: Python offers many ways to a module that is already loaded. What protects the verdict is
that the program leaves nothing but a plan. The list holds what a launcher can need: torch and Triton themselves, and
modules of the standard library that compute and touch nothing outside the program.
"""

import ast
import dis
import importlib.util
from collections.abc import Iterator
from types import CodeType

from fitness.child import Refused

MODULES = frozenset(
    {
        "torch", "torch.cuda", "torch.nn", "torch.nn.functional",
        "triton", "triton.language", "triton.runtime", "triton.runtime.driver", "triton.tools.tensor_descriptor",
        "__future__", "abc", "collections", "collections.abc", "contextlib", "copy", "dataclasses", "enum", "fractions",
        "functools", "itertools", "math", "numbers", "operator", "string", "types", "typing", "warnings",
    }
)  # fmt: skip
PACKAGES = ("triton.language.",)  # with all that is in them
BUILTINS = frozenset({"__import__", "breakpoint", "compile", "eval", "exec", "input", "open"})  # no launcher needs one

_IMPORT = (
    "line {line}: a sealed program may not import `{name}`; a launcher allocates, takes views and launches kernels, "
    "and needs nothing but torch, triton and modules that only compute ({some}, ...): remove the import, or judge "
    "the program in open mode"
)
_BUILTIN = "line {line}: a sealed program may not use `{name}`: write what it should do in plain code"
_LOOKING = ("LOAD_NAME", "LOAD_GLOBAL", "LOAD_FROM_DICT_OR_GLOBALS")  # what ends among the built-in functions
_SOME = "math, functools, itertools, typing, dataclasses"


def check(tree: ast.Module) -> None:
    """Refuse the first import that is not on the list, and the built-in functions that go round it."""
    run = [statement for statement in tree.body if not _is_main(statement)]
    for node in (n for statement in run for n in ast.walk(statement)):
        for name in _imported(node):
            if name not in MODULES and not name.startswith(PACKAGES):
                line = getattr(node, "lineno", 0)
                raise Refused("import", _IMPORT.format(line=line, name=name, some=_SOME))
    for line, name in _builtins(compile(ast.Module(run, []), "<program>", "exec", dont_inherit=True)):
        raise Refused("import", _BUILTIN.format(line=line, name=name))


def _is_main(statement: ast.stmt) -> bool:
    """Tell whether a statement only runs when the file is a program of its own, which it never is here."""
    return isinstance(statement, ast.If) and ast.unparse(statement.test) == "__name__ == '__main__'"


def _builtins(code: CodeType) -> Iterator[tuple[int, str]]:
    """Name what code may find among the built-in functions; a parameter or a variable of that name is none of them."""
    if BUILTINS.intersection(code.co_names):
        for one in dis.get_instructions(code):
            if one.opname in _LOOKING and one.argval in BUILTINS:
                line = one.positions.lineno if one.positions else None
                yield line or code.co_firstlineno, one.argval
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            yield from _builtins(inner)


def _imported(node: ast.AST) -> Iterator[str]:
    """Name the modules that one statement imports."""
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        package = "." * node.level + (node.module or "")
        yield package
        yield from (f"{package}.{a.name}" for a in node.names if _is_module(package, a.name))


def _is_module(package: str, name: str) -> bool:
    """Tell whether `from package import name` brings a module of torch or triton, rather than a function."""
    if package not in MODULES or package.split(".")[0] not in ("torch", "triton"):
        return False
    try:
        return importlib.util.find_spec(f"{package}.{name}") is not None
    except ModuleNotFoundError:  # the package is a single file
        return False
