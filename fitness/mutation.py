"""Makes wrong programs of a program's own text, each with one place changed.

A mask is dropped, a tile skipped, a constant or bound changed, a precision lowered, an axis swapped, and in what is no
kernel an operation exchanged for another; a launcher launches too few programs. A mutant may happen to be right: who
runs it must tell.
"""

import ast
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from fitness import grids, wholes
from fitness.wholes import Change
from suites.parsing import parse

KINDS = (
    "drop a mask",
    "skip a tile",
    "change a constant",
    "lower a precision",
    "swap an axis",
    "exchange an operation",
)
KILLED, EQUAL, AS_RIGHT, SURVIVED, BROKEN = "killed", "equal", "as right", "survived", "does not run"
FAULTED, UNTRIED = "faults", "untried"
STATES = (KILLED, FAULTED, SURVIVED, EQUAL, AS_RIGHT, BROKEN, UNTRIED)  # what may become of a mutant
ALIKE = 1.25  # times the largest error of the original and the honest bank, in each trial: roundings fall otherwise
NO_WORSE = "differs, and errs no more than honest programs in any trial"

_ROUND = {"tl": "({}).to(tl.bfloat16).to(tl.float32)", "torch": "({}).bfloat16().float()"}
_AXES = ("axis", "dim", "dims")


@dataclass(frozen=True, slots=True)
class Mutant:
    """A program with one place changed: what kind of change, in which line, and what became of the text there."""

    kind: str
    line: int
    was: str
    becomes: str
    source: str
    launcher: bool = False  # what is launched is changed, and no kernel

    @property
    def said(self) -> str:
        """The change in words."""
        return f"{self.kind}, line {self.line}: {self.was} -> {self.becomes or 'nothing'}"


def mutants(source: str, within: Callable[[ast.FunctionDef], bool]) -> list[Mutant]:
    """Return every mutant of the functions of a program that are chosen, each text once, in the order of the text."""
    return _made(source, within, _changes)


def of_program(source: str) -> list[Mutant]:
    """Return every mutant of a program's kernels, and those of its launchers that launch too few programs."""
    launched = _made(source, lambda function: not is_kernel(function), grids.changes)
    return _ordered([*mutants(source, is_kernel), *(replace(m, launcher=True) for m in launched)])


def _made(source: str, within: Callable[[ast.FunctionDef], bool],
          changes: Callable[[ast.FunctionDef], Iterator[Change]]) -> list[Mutant]:  # fmt: skip
    """Make a program of each change to the functions that are chosen."""
    found: dict[str, Mutant] = {source: Mutant("", 0, "", "", source)}
    for function in (n for n in parse(source).body if isinstance(n, ast.FunctionDef) and within(n)):
        for node, kind, becomes in changes(function):
            changed = _replaced(source, node, becomes)
            was = " ".join((ast.get_source_segment(source, node) or "").split())
            found.setdefault(changed, Mutant(kind, node.lineno, was, " ".join(becomes.split()), changed))
    return _ordered([m for m in found.values() if m.kind])


def _ordered(every: list[Mutant]) -> list[Mutant]:
    return sorted(every, key=lambda m: (m.line, KINDS.index(m.kind)))


def spread(every: list[Mutant], most: int) -> list[Mutant]:
    """Choose at most so many, taken in turn from each kind and spread over its places."""
    kinds = [[m for m in every if m.kind == kind] for kind in KINDS]
    share, chosen = most, []
    for left, group in sorted(enumerate(sorted(kinds, key=len)), key=lambda g: len(g[1])):
        count = min(len(group), -(-share // (len(kinds) - left)))
        chosen += [group[i * len(group) // count] for i in range(count)]
        share -= count
    return sorted(chosen, key=lambda m: m.line)


def is_kernel(function: ast.FunctionDef) -> bool:
    """Tell whether a function is one that Triton compiles."""
    return any("jit" in ast.unparse(d) for d in function.decorator_list)


def _changes(function: ast.FunctionDef) -> Iterator[Change]:
    """Yield places of a function, the kind of a change there, and what would stand there."""
    library = "tl" if is_kernel(function) else "torch"
    for node in (n for statement in function.body for n in ast.walk(statement)):
        if isinstance(node, ast.Call):
            yield from _of_call(node, library)
        elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitAnd) and _compares(node):
            yield node, "drop a mask", ast.unparse(node.left)
            yield node, "drop a mask", ast.unparse(node.right)
        elif isinstance(node, ast.BinOp) and library == "torch" and type(node.op) in _OPERATIONS:
            exchanged = ast.BinOp(node.left, _OPERATIONS[type(node.op)](), node.right)
            yield node, "exchange an operation", ast.unparse(exchanged)
        elif isinstance(node, ast.Compare) and type(node.ops[0]) in _BOUNDS:
            changed = ast.Compare(node.left, [_BOUNDS[type(node.ops[0])](), *node.ops[1:]], node.comparators)
            yield node, "change a constant", ast.unparse(changed)
        elif isinstance(node, ast.AugAssign) and isinstance(node.op, ast.Add) and _is_sum(node, library):
            whole = f"{ast.unparse(node.target)} + {ast.unparse(node.value)}"
            yield node, "lower a precision", f"{ast.unparse(node.target)} = {_ROUND[library].format(whole)}"
        elif isinstance(node, ast.Attribute) and node.attr in ("T", "mT"):
            yield node, "swap an axis", ast.unparse(node.value)
        elif isinstance(node, ast.Subscript):
            yield from _of_subscript(node)
        yield from _of_constants(node)
        if library == "torch":
            yield from wholes.changes(node)


_BOUNDS: dict[type, type] = {ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt}

_OPERATIONS: dict[type, type] = {ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Add, ast.Div: ast.Mult}


def _of_call(node: ast.Call, library: str) -> Iterator[Change]:
    """Change one call: its mask, its end, its precision, its axis."""
    name = ast.unparse(node.func)
    if any(k.arg == "mask" for k in node.keywords):
        rest = [k for k in node.keywords if k.arg not in ("mask", "other")]
        yield node, "drop a mask", ast.unparse(ast.Call(node.func, node.args, rest))
    if name == "range" and len(node.args) == 3:
        first, end, step = map(ast.unparse, node.args)
        yield node, "skip a tile", f"range({first} + {step}, {end}, {step})"
        yield node, "skip a tile", f"range({first}, {end} - {step}, {step})"
    elif name == "range" and len(node.args) == 2:
        yield node, "skip a tile", "range({}, {} - 1)".format(*map(ast.unparse, node.args))
    if name in ("triton.cdiv", "tl.cdiv"):
        yield node, "skip a tile", "({} // {})".format(*map(ast.unparse, node.args))
    if name == "tl.dot" or name.endswith((".float", ".to")):
        whole = ast.unparse(node)
        if name == "tl.dot" or whole.endswith((".float()", "float32)", "(dtype)")):
            yield node, "lower a precision", _ROUND[library].format(whole)
    if name == "tl.trans" and len(node.args) == 1:
        yield node, "swap an axis", ast.unparse(node.args[0])
    for keyword in node.keywords:
        if keyword.arg in _AXES and isinstance(keyword.value, (ast.Constant, ast.UnaryOp)):
            other = "0" if ast.unparse(keyword.value) in ("1", "-1") else "1"
            yield keyword.value, "swap an axis", other
    axes = (
        name.rpartition(".")[2] in _REDUCTIONS and node.args and isinstance(node.args[-1], (ast.Constant, ast.UnaryOp))
    )
    if axes and ast.unparse(node.args[-1]) in ("0", "1", "-1"):
        yield node.args[-1], "swap an axis", "0" if ast.unparse(node.args[-1]) != "0" else "1"


_REDUCTIONS = (
    "sum",
    "mean",
    "amax",
    "amin",
    "softmax",
    "flip",
    "split",
    "cat",
    "stack",
    "size",
    "stride",
    "program_id",
)


def _of_subscript(node: ast.Subscript) -> Iterator[Change]:
    """Swap `[:, None]` with `[None, :]`, and the first size of a shape with the second."""
    inside = ast.unparse(node.slice)
    swapped = {"(:, None)": "[None, :]", ":, None": "[None, :]", "(None, :)": "[:, None]", "None, :": "[:, None]"}
    if inside in swapped:
        yield node, "swap an axis", ast.unparse(node.value) + swapped[inside]
    if ast.unparse(node.value).endswith(".shape") and inside in ("0", "1", "-1"):
        yield node, "swap an axis", ast.unparse(node.value) + ("[0]" if inside != "0" else "[1]")


def _of_constants(node: ast.AST) -> Iterator[Change]:
    """Change the numbers among what an operation is given: no axis, no place of an argument, no setting of a launch."""
    given: list[ast.expr] = []
    if isinstance(node, ast.BinOp):
        given = [node.left, node.right]
    elif isinstance(node, ast.Call) and not ast.unparse(node.func).endswith(("program_id", "static_range")):
        name = ast.unparse(node.func).rpartition(".")[2]
        given = [] if name in (*_REDUCTIONS, "repeat_interleave", "range") else [*node.args]
    elif isinstance(node, ast.keyword) and node.arg in ("other", "min", "max", "alpha"):
        given = [node.value]
    for one in given:
        number: Any = one.value if isinstance(one, ast.Constant) else None
        if type(number) is int:
            yield one, "change a constant", str(number + 1)
        elif type(number) is float:
            yield one, "change a constant", str(number * 1.5 or 1.0)


def _is_sum(node: ast.AugAssign, library: str) -> bool:
    """Tell whether something is added up in a kernel, other than a pointer."""
    return library == "tl" and "ptr" not in ast.unparse(node.target)


def _compares(node: ast.BinOp) -> bool:
    """Tell whether `&` joins conditions rather than bits."""
    return any(isinstance(n, ast.Compare) for n in ast.walk(node))


_BARE = (ast.Constant, ast.UnaryOp, ast.AugAssign, ast.Call)  # they need no parentheses where they stand


def _replaced(source: str, node: Any, becomes: str) -> str:
    """Return the source with one node's text replaced; columns of Python's trees count bytes."""
    lines = source.encode().splitlines(keepends=True)
    start = sum(map(len, lines[: node.lineno - 1])) + node.col_offset
    end = sum(map(len, lines[: node.end_lineno - 1])) + node.end_col_offset
    text = source.encode()
    whole = becomes if isinstance(node, _BARE) else f"({becomes})"
    return (text[:start] + whole.encode() + text[end:]).decode()
