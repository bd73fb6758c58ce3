"""Tasks that another suite's own test judges, because no task of ours can be made of them.

The test is part of the task, and a program is what stands before it. There are no cases of ours: the suite says what is
timed.
"""

import ast
from collections.abc import Sequence
from dataclasses import asdict, replace

from suites.foreign.loaded import Loaded
from suites.parsing import parse
from suites.task import Seed, Task

STYLES = ("module", "pytest", "script", "function")  # a torch module has another name as a program than as a reference
UNHELD = "its tests launch its kernels themselves, and no function of the program does"


def task(suite: str, found: Loaded, why: str) -> Task:
    """Return a suite's task as one that its own test judges; `why` says why ours cannot."""
    found = replace(found, source=f"{found.source.rstrip()}\n")  # libcst loses lines of spaces at a program's end
    return Task(
        name=f"{suite}/{found.name}",
        about=found.instruction or f"{found.name} of {suite}: the kernel below, made faster.",
        entry=found.entries[0],
        cases=(),
        held_out=(),
        seeds=(Seed("theirs", found.source),),
        source=f"{found.source}\n\n{found.tests}",
        judged_by={"why": why, "loaded": asdict(found)},
    )


def loaded(own: Task) -> Loaded:
    """Return the suite's task whose test judges."""
    return Loaded(**own.judged_by["loaded"])


def why(own: Task) -> str:
    """Say why no task of ours could be made; empty for a task of ours."""
    return str(own.judged_by.get("why", ""))


def timed_on(own: Task, tests: Sequence[str]) -> Task:
    """Return a task whose programs are all timed on these tests: those that its seed was timed on."""
    return replace(own, judged_by={**own.judged_by, "tests": tuple(tests)})


def tests(own: Task) -> tuple[str, ...]:
    """Return the tests that programs are timed on; none where that is not known yet."""
    return tuple(own.judged_by.get("tests", ()))


def launchless(found: Loaded) -> bool:
    """Tell by its text alone whether a program's kernels are launched by its tests, so that it holds no launcher."""
    if found.style != "pytest":
        return False
    nodes = list(ast.walk(parse(found.source)))
    kernels = {node.name for node in nodes if isinstance(node, ast.FunctionDef) and _is_kernel(node)}
    return not any(isinstance(n, ast.Subscript) and ast.unparse(n.value) in kernels for n in nodes)


def fault(found: Loaded, source: str) -> str | None:
    """Say what a program holds of the test, or lacks of a program; None where it may run beside the test."""
    tree, before = parse(source), _bound(parse(found.source))
    mine, test = _bound(tree), _bound(parse(found.tests)) if found.style != "script" else set()
    new = mine - before
    if taken := sorted((new & test) | {n for n in new if n.startswith("test_")}):
        return f"the program defines `{taken[0]}`, which is its test's: a program is what stands before the test"
    if absent := sorted({n for n in found.entries if n in before} - mine):
        return f"the program does not define `{absent[0]}`, which its test calls: keep its name and its parameters"
    if not any(_is_kernel(node) for node in ast.walk(tree)):
        return "the program has no function under @triton.jit: it launches nothing of its own"
    return None


def _bound(tree: ast.Module) -> set[str]:
    """List the names that a module's top level defines or gives values."""
    names = {n.name for n in tree.body if isinstance(n, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef))}
    targets = [t for n in tree.body if isinstance(n, ast.Assign) for t in n.targets]
    targets += [n.target for n in tree.body if isinstance(n, (ast.AnnAssign, ast.AugAssign))]
    return names | {n.id for t in targets for n in ast.walk(t) if isinstance(n, ast.Name)}


def _is_kernel(node: ast.AST) -> bool:
    decorators = node.decorator_list if isinstance(node, ast.FunctionDef) else []
    return any(ast.unparse(d).split("(")[0] in ("triton.jit", "jit", "gluon.jit") for d in decorators)
