"""Brings a candidate's source to life inside a child, and finds the kernels it holds."""

import ast
import importlib.util
import sys
from types import ModuleType
from typing import Any

from fitness.child import Refused, Report
from fitness.jobs import policy
from suites.parsing import parse

MAX_SOURCE = 256 << 10
FILE = "candidate.py"  # triton refuses kernels that are not in a file


def check_source(source: str, entry: str, imports: bool) -> None:
    """Refuse what can be refused without running anything."""
    if len(source.encode()) > MAX_SOURCE:
        raise Refused("size", f"the program has {len(source.encode())} bytes; at most {MAX_SOURCE} are allowed")
    try:
        tree = parse(source, FILE)
    except (ValueError, RecursionError, MemoryError) as error:
        raise Refused("syntax", f"the program cannot be parsed: {error}") from error
    functions = [n for n in tree.body if isinstance(n, ast.FunctionDef)]
    if entry not in {f.name for f in functions}:
        found = ", ".join(f.name for f in functions) or "none"
        raise Refused("entry", f"the launcher `{entry}` is not defined at the top level (functions found: {found})")
    if "jit" not in source:
        raise Refused("kernel", "there is no @triton.jit function: nothing would run on the GPU")
    if imports:
        policy.check(tree)


def load(source: str, report: Report) -> ModuleType:
    """Write the program to a file and import it."""
    report.stage("import")
    with open(FILE, "w", encoding="utf-8") as file:
        file.write(source)
    spec = importlib.util.spec_from_file_location("candidate", FILE)
    if spec is None or spec.loader is None:
        raise Refused("import", f"no loader for {FILE}")
    module = importlib.util.module_from_spec(spec)
    sys.modules["candidate"] = module
    spec.loader.exec_module(module)
    return module


def innermost(value: Any) -> Any:
    """Take autotune and heuristics wrappers off a kernel."""
    while type(value).__name__ in ("Autotuner", "Heuristics"):
        value = value.fn
    return value


def global_name(module: ModuleType, function: Any) -> str:
    """Find the global name under which a program holds one of its kernels."""
    for name, value in vars(module).items():
        if innermost(value) is function:
            return name
    name = getattr(function, "__name__", "?")
    raise Refused("kernel", f"kernel `{name}` must be defined at the top level of the program, so that it can be found")
