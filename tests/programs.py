"""Reads the programs in tests/cheats and tests/honest: what each is for stands in its docstring."""

import ast
import re
from dataclasses import dataclass
from pathlib import Path

import suites
from suites import Task

TESTS = Path(__file__).parent
PEERS = (
    "KernelBench", "robust-kbench", "KernelGYM", "BackendBench", "KernelAgent", "tritonbench", "gpu-mode", "pygpubench",
    "AgentKernelArena", "GEAK-eval", "thunlp-TritonBench", "flashinfer-bench", "Helion",
)  # fmt: skip
NEEDS = ("gpu", "walls", "trials")  # what a program needs for its gate to be reached, or to run at all
CLASSES = {"A": 11, "B": 20, "C": 27, "D": 45, "E": 58, "F": 65, "G": 68}  # by the catalogue: the last number of each
_KEYS = ("task", "gate", "gpu", "needs", "fools")


@dataclass(frozen=True, slots=True)
class Program:
    """One file: a whole candidate and what its docstring says about it."""

    path: Path
    about: str
    task: str
    gate: str | None
    gpu_gate: str | None  # the gate of a judge that measures, where it is another one
    needs: str | None  # the first word of the `needs:` line; the rest of the line says why
    fools: tuple[str, ...]

    @property
    def source(self) -> str:
        return self.path.read_text(encoding="utf-8")

    @property
    def number(self) -> int:
        return int(self.path.stem.split("_")[0])

    @property
    def group(self) -> str:
        """The class of the catalogue; H for what is aimed at a judge that replays plans."""
        return next((name for name, last in CLASSES.items() if self.number <= last), "H")


def programs(folder: str) -> list[Program]:
    """Read every program of a folder, in the order of their numbers."""
    return [read(path) for path in sorted((TESTS / folder).glob("*.py"))]


def read(path: Path) -> Program:
    """Parse one docstring; raises ValueError where it has not the fixed form."""
    text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    about, _, rest = text.partition("\n\n")
    said: dict[str, str] = {}
    for line in rest.splitlines():
        key, colon, value = line.partition(": ")
        if not colon or key not in _KEYS or key in said or not value.strip():
            raise ValueError(f"{path.name}: the docstring's line {line!r} is none of {', '.join(_KEYS)}, each once")
        said[key] = value.strip()
    if not about.endswith(".") or "\n" in about or "task" not in said:
        raise ValueError(
            f"{path.name}: the docstring must be one sentence in one line, an empty line, then `task: NAME`"
        )
    if not re.fullmatch(r"\d\d_[a-z0-9_]+", path.stem):
        raise ValueError(f"{path.name}: files are called NN_name.py")
    needs = re.split(r"[, ]", said.get("needs", ""))[0] or None
    fools = tuple(p.strip() for p in said.get("fools", "").split(",") if p.strip())
    if needs not in (None, *NEEDS) or not set(fools) <= set(PEERS):
        raise ValueError(f"{path.name}: needs is one of {', '.join(NEEDS)}; fools names peers of {', '.join(PEERS)}")
    gpu_gate = said.get("gpu", "").split(",")[0] or None
    return Program(path, about, said["task"], said.get("gate"), gpu_gate, needs, fools)


def task(name: str) -> Task:
    """Load a native task, or one of tests/tasks."""
    own = TESTS / "tasks" / f"{name}.py"
    return suites.load(str(own) if own.is_file() else name)
