"""Task files become Tasks: markers cut the seeds out, the rest is executed and every fault is named at once."""

import ast
import difflib
import inspect
import re
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from suites.interruption import noted
from suites.parsing import parse
from suites.task import CATEGORIES, LEVELS, WHOLE, Case, Input, Seed, Task

NATIVE = Path(__file__).parent / "native"
# Names under which other benchmarks know a native task.
ALIASES = {"add": "vector_add", "gemm": "gemm_fp16", "layernorm": "layer_norm", "rmsnorm_fwd": "rms_norm"}
TEMPLATE = Path(__file__).parent / "template.py"

_PARTS = ("cases", "held_out", "edges")
_SEED = re.compile(r"^#\s*evo-kernel:\s*seed\s+(?P<name>[\w.-]+)\s*$")
_END = re.compile(r"^#\s*evo-kernel:\s*end\s*$")
_KERNEL_ALONE = (
    "; a kernel alone is no task: `evo-kernel tasks new NAME` begins a task file, and the kernel goes between its "
    "'# evo-kernel: seed NAME' and '# evo-kernel: end'"
)


class TaskError(Exception):
    """A task that cannot be used: what was expected, what came, what to do."""


@dataclass(frozen=True, slots=True)
class Functions:
    """A task's own PyTorch: the reference, and other honest implementations by name."""

    reference: Callable[..., Any]
    honest: tuple[tuple[str, Callable[..., Any]], ...] = ()
    tf32: bool = False


def names() -> list[str]:
    """List the native tasks."""
    return sorted(p.stem for p in NATIVE.glob("*.py") if p.stem != "__init__")


def load(name_or_path: str) -> Task:
    """Load a native task by its name, or anyone's task by the path of its file; its own code runs in this process."""
    return read(*find(name_or_path))


def find(name_or_path: str) -> tuple[str, str, str]:
    """Return the text of a task's file, the task's name, and what messages call the file; nothing of it is run."""
    name_or_path = ALIASES.get(name_or_path, name_or_path)
    path = Path(name_or_path)
    if path.suffix == ".py" or (path.is_file() and name_or_path not in names()):
        if not path.is_file():
            raise TaskError(f"no task file at {name_or_path}")
    elif (NATIVE / f"{name_or_path}.py").is_file():
        path = NATIVE / f"{name_or_path}.py"
    else:
        near = difflib.get_close_matches(name_or_path, [*names(), *ALIASES], n=3, cutoff=0.4)
        hint = f"nearest: {', '.join(near)}" if near else f"known: {', '.join(names())}"
        raise TaskError(f"no task named {name_or_path!r} ({hint}; or give the path of a task file)")
    try:
        return path.read_text(encoding="utf-8"), path.stem, str(path)
    except (OSError, UnicodeDecodeError) as error:
        raise TaskError(f"task file {path} cannot be read: {error}") from error


def read(text: str, name: str, origin: str = "<task>") -> Task:
    """Build a task from its file's text; `origin` is what messages call the file."""
    seeds, rest = _cut_seeds(text, origin)
    scope = _execute(rest, name, origin)
    faults = _faults(scope, seeds, rest)
    if faults:
        raise TaskError(f"task file {origin}: " + "; ".join(faults))
    about = ast.get_docstring(parse(rest)) or ""
    return Task(
        name=name,
        about=about,
        entry=scope["entry"],
        cases=tuple(scope["cases"]),
        held_out=tuple(scope["held_out"]),
        seeds=tuple(seeds),
        source=text,
        honest=tuple(f.__name__ for f in scope.get("honest", ())),
        exact=scope.get("exact", False),
        misrounded=scope.get("misrounded"),
        atomics=scope.get("atomics", False),
        in_place=tuple(scope.get("in_place", ())),
        tf32=scope.get("tf32", False),
        edges=tuple(scope.get("edges", ())),
        category=scope.get("category", ""),
        level=scope.get("level", 0),
        interpreted=scope.get("interpreted", False) is True,
    )


def functions(task: Task) -> Functions:
    """Execute the task's own text, seeds left out, and return its PyTorch functions."""
    _, rest = _cut_seeds(task.source, task.name)
    scope = _execute(rest, task.name, "task.py")
    return Functions(scope["reference"], tuple((f.__name__, f) for f in scope.get("honest", ())), task.tf32)


def reference(task: Task) -> Callable[..., Any]:
    """Return the task's PyTorch reference alone."""
    return functions(task).reference


def parts(text: str) -> tuple[list[Seed], str]:
    """Return a task file's seeds and the rest of it, line for line, without executing anything."""
    return _cut_seeds(text, "<task>")


def _cut_seeds(text: str, origin: str) -> tuple[list[Seed], str]:
    """Split a task file into its seed programs and the rest, which keeps its line numbers."""
    seeds: list[Seed] = []
    rest: list[str] = []
    name: str | None = None
    body: list[str] = []
    for number, line in enumerate(text.splitlines(), 1):
        start = _SEED.match(line)
        if start:
            if name is not None:
                raise TaskError(f"task file {origin}, line {number}: seed {name!r} is not ended before this one")
            name, body = start["name"], []
        elif _END.match(line):
            if name is None:
                raise TaskError(f"task file {origin}, line {number}: 'evo-kernel: end' without a seed")
            seeds.append(Seed(name, "\n".join(body).strip("\n") + "\n"))
            name = None
        elif name is not None:
            body.append(line)
            rest.append("")
            continue
        rest.append("" if start or _END.match(line) else line)
    if name is not None:
        raise TaskError(f"task file {origin}: seed {name!r} has no '# evo-kernel: end'")
    return seeds, "\n".join(rest)


def _execute(source: str, name: str, origin: str) -> dict[str, Any]:
    """Run a task file's own code; the person who names the file trusts it, and `os._exit` in it ends the process."""
    scope: dict[str, Any] = {"__name__": f"evo_kernel_task_{name}", "__file__": origin}
    with noted() as signals:
        try:
            exec(compile(source, origin, "exec"), scope)
        except SyntaxError as error:
            where = f", line {error.lineno}" if error.lineno else ""
            raise TaskError(f"task file {origin}{where}: {error.msg}") from error
        except BaseException as error:  # whatever it raises leaves this task out, and no other
            if isinstance(error, KeyboardInterrupt) and signals:
                raise  # a person's
            frames = traceback.extract_tb(error.__traceback__)
            own = [f.lineno for f in frames if f.filename == origin]
            where = f", line {own[-1]}" if own else ""
            said = ": ".join(part for part in (type(error).__name__, _words(error)) if part)
            hint = _KERNEL_ALONE if "@triton.jit" in source else ""
            raise TaskError(f"task file {origin}{where}: {said}{hint}") from error
    return scope


def _words(error: BaseException) -> str:
    """Return what an error says; one of the task file's own may fail at that too."""
    try:
        return str(error)
    except Exception as another:  # noqa: BLE001  it is the file's code
        return f"(what it says cannot be had: {type(another).__name__})"


def _faults(scope: dict[str, Any], seeds: list[Seed], rest: str) -> list[str]:
    """Name every missing or malformed part of a task file."""
    faults = []
    if not ast.get_docstring(parse(rest)):
        faults.append("it has no docstring (say in words what the task computes)")
    if not callable(scope.get("reference")):
        faults.append("it has no `def reference(...)` (the operation in PyTorch)")
    entry = scope.get("entry")
    if not (isinstance(entry, str) and entry.isidentifier()):
        faults.append('it has no `entry = "name"` (the launcher\'s name in every candidate)')
    for part in ("cases", "held_out"):
        group = scope.get(part)
        if not isinstance(group, (list, tuple)) or not group or not all(isinstance(c, Case) for c in group):
            faults.append(f"it has no `{part} = [Case(...), ...]` with at least one case")
    if not seeds and scope.get("seedless", False) is not True:
        faults.append("it has no seed kernel (between '# evo-kernel: seed NAME' and '# evo-kernel: end')")
    faults += [f"seed {s.name!r}: {fault}" for s in seeds if (fault := _seed_fault(s.source, entry))]
    faults += _argument_faults(scope) + _option_faults(scope)
    repeated = _repeated([c.name for p in _PARTS for c in _cases(scope.get(p))])
    if repeated:
        faults.append(f"case names are used twice: {', '.join(repeated)}")
    if _repeated([s.name for s in seeds]):
        faults.append(f"seed names are used twice: {', '.join(_repeated([s.name for s in seeds]))}")
    return faults


def _seed_fault(source: str, entry: Any) -> str | None:
    """Say what is wrong with a seed's text, if anything."""
    try:
        tree = parse(source)
    except SyntaxError as error:
        return f"line {error.lineno} of the seed: {error.msg}"
    defined = {n.name for n in tree.body if isinstance(n, ast.FunctionDef)}
    if entry in defined or not (isinstance(entry, str) and entry.isidentifier()):
        return None  # a malformed entry is a fault of its own
    return f"it does not define the launcher `{entry}`"


def _argument_faults(scope: dict[str, Any]) -> list[str]:
    """Name the cases and honest functions whose arguments are not those of the reference, by name and order."""
    wanted = _parameters(scope.get("reference"))
    if wanted is None:
        return []
    faults = [
        f"case {c.name} has the arguments {', '.join(c.inputs)}; the reference takes {', '.join(wanted)}"
        for part in _PARTS
        for c in _cases(scope.get(part))
        if list(c.inputs) != wanted
    ]
    honest = scope.get("honest", ())
    for function in honest if isinstance(honest, (list, tuple)) else ():
        taken = _parameters(function)
        if taken is not None and taken != wanted:
            name = getattr(function, "__name__", function)
            faults.append(f"honest {name} takes {', '.join(taken)}; the reference takes {', '.join(wanted)}")
    return faults


def _option_faults(scope: dict[str, Any]) -> list[str]:
    """Name what is malformed among the parts that a task may leave out."""
    faults = []
    honest = scope.get("honest", ())
    if not isinstance(honest, (list, tuple)) or not all(callable(f) and hasattr(f, "__name__") for f in honest):
        faults.append("`honest` must be a list of functions (other PyTorch implementations of the reference)")
    elif _repeated([f.__name__ for f in honest]):
        faults.append(f"honest functions share a name: {', '.join(_repeated([f.__name__ for f in honest]))}")
    flags = [(name, scope.get(name, False)) for name in ("exact", "atomics", "tf32")]
    faults += [f"`{name}` must be True or False; got {flag!r}" for name, flag in flags if not isinstance(flag, bool)]
    faults += _rounding_faults(scope) + _place_faults(scope)
    edges = scope.get("edges", ())
    if not isinstance(edges, (list, tuple)) or not all(isinstance(c, Case) for c in edges):
        faults.append("`edges` must be a list of Case(...) (cases for correctness alone)")
    names = scope.get("in_place", ())
    if not isinstance(names, (list, tuple)) or not all(isinstance(n, str) for n in names):
        return [*faults, "`in_place` must be a list of argument names"]
    every = [c for part in _PARTS for c in _cases(scope.get(part))]
    missing = [n for n in names if not all(isinstance(c.inputs.get(n), Input) for c in every)]
    return faults + ([f"in_place names what is no tensor argument: {', '.join(missing)}"] if missing else [])


def _rounding_faults(scope: dict[str, Any]) -> list[str]:
    """Name what is wrong with the share of elements that may be rounded otherwise, which a task may leave out."""
    share = scope.get("misrounded")
    if share is None:
        return []
    if type(share) is not float or not 0 < share < 1:
        return [f"`misrounded` must be a share of elements between 0.0 and 1.0; got {share!r}"]
    inputs = [a for c in _cases(scope.get("cases")) for a in c.inputs.values() if isinstance(a, Input)]
    whole = [a for a in inputs if WHOLE in (a.distribution, *(a.trials or ()))]
    if not whole:
        return [f"`misrounded` is about inputs drawn as `{WHOLE}`, and none of a public case names that in its trials"]
    if any((a.scale, a.shift) != (1.0, 0.0) for a in whole):
        return [f"`misrounded` is about whole numbers, and what may be drawn as `{WHOLE}` has a scale or a shift"]
    return []


def _place_faults(scope: dict[str, Any]) -> list[str]:
    """Name what is wrong with the category and the level, which a task may leave out."""
    faults = []
    category, level = scope.get("category", ""), scope.get("level", 0)
    if category != "" and category not in CATEGORIES:
        faults.append(f"`category` must be one of {', '.join(CATEGORIES)}; got {category!r}")
    if "level" in scope and (type(level) is not int or level not in LEVELS):
        faults.append(f"`level` must be {LEVELS[0]} (a copy) to {LEVELS[-1]}; got {level!r}")
    return faults


def _parameters(function: Any) -> list[str] | None:
    """Return the names of a function's parameters; None where they cannot be known."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return None
    if any(p.kind in (p.VAR_POSITIONAL, p.VAR_KEYWORD) for p in parameters):
        return None
    return [p.name for p in parameters]


def _cases(group: Any) -> list[Case]:
    return [c for c in group if isinstance(c, Case)] if isinstance(group, (list, tuple)) else []


def _repeated(items: list[str]) -> list[str]:
    return sorted({i for i in items if items.count(i) > 1})
