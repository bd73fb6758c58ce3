"""GEAK-eval checkouts: TritonBench-G revised (184 kernels, five levels) and the ROCm benchmark (31 kernels).

Older checkouts tell the tasks in a JSON file beside the folder of programs; newer ones have the folder alone, so there
instructions and levels are unknown.
"""

import ast
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from suites.foreign import checkout
from suites.foreign.loaded import Loaded, Style, SuiteError

SEPARATOR = "#" * 146  # a line of it parts a program from its tests; some files have spaces behind it
OWN = ("geak_eval", "tb_eval")  # what their tests import of the suite itself, by its newer and its older name
_VERSIONS = ("0.1.0",)
_DATA = "geak_eval/data"


class _Programs(ABC):
    """What the two benchmarks share: a folder of programs with their tests, and a JSON list that may be missing."""

    name: str
    about: str
    looks_for: tuple[str, ...]
    style: Style
    index: str
    performance: str
    count: int

    def load(self, root: Path) -> Iterator[Loaded]:
        """Yield the tasks that the list names, then files that it does not name."""
        checkout.require(root, self.name, self.looks_for)
        listed = self._listed(root)
        folder = root / self.looks_for[0]
        files = {p.name for p in folder.glob("*.py") if p.name != "__init__.py"}
        for file in (*listed, *sorted(files - listed.keys())):
            yield self._task(folder, file, listed.get(file, {}))

    def notes(self, root: Path) -> tuple[str, ...]:
        """Name missing lists and performance files, odd numbers of tasks, and an unknown version."""
        found = list(checkout.unknown_version(root, _VERSIONS))
        if not (root / self.index).is_file():
            found.append(f"{self.index} is missing: instructions and levels are unknown")
        count = sum(1 for _ in self.load(root))
        if count != self.count:
            found.append(f"it has {count} tasks; the versions that were tried have {self.count}")
        return (*found, *self._unmeasured(root))

    def _unmeasured(self, root: Path) -> tuple[str, ...]:
        if (root / self.performance).is_dir():
            return ()
        return (f"the folder {self.performance} is missing",)

    def _listed(self, root: Path) -> dict[str, dict[str, Any]]:
        """Return the list's records by file, in its order."""
        if not (root / self.index).is_file():
            return {}
        try:
            found = checkout.records(root / self.index, ("file", "instruction"))
        except SuiteError as error:
            raise SuiteError(f"suite {self.name}: {error}") from error
        strange = [r["file"] for r in found if Path(r["file"]).name != r["file"]]
        if strange:
            raise SuiteError(f"suite {self.name}: {self.index} names a file outside its folder: {strange[0]!r}")
        return {r["file"]: r for r in found}

    def _task(self, folder: Path, file: str, record: dict[str, Any]) -> Loaded:
        """Read one program; whatever is wrong with it is its problem."""
        level = record.get("difficulty")
        task = Loaded(
            name=file.removesuffix(".py"),
            file=f"{self.looks_for[0]}/{file}",
            style=self.style,
            group=None if level is None else str(level),
            instruction=record.get("instruction", ""),
        )
        try:
            whole = checkout.text(folder / file)
        except SuiteError as error:
            return replace(task, problem=str(error))
        source, *tests = whole.split(SEPARATOR)
        if len(tests) != 1:
            return replace(task, problem=f"expected one line of 146 # between program and tests, found {len(tests)}")
        program, test = checkout.tree(source), checkout.tree(tests[0])
        if isinstance(program, str) or isinstance(test, str):
            where, fault = ("program", program) if isinstance(program, str) else ("tests", test)
            return replace(task, problem=f"its {where} cannot be parsed: {fault}")
        entries = self._entries(program, record)
        problem = None if entries else "no function of its program is decorated with triton.jit"
        needs = checkout.absent(ast.Module([*program.body, *test.body], []), OWN)
        problem = problem or self._fault(test)
        return replace(task, source=source, tests=tests[0], entries=entries, needs=needs, problem=problem)

    def _entries(self, program: ast.Module, record: dict[str, Any]) -> tuple[str, ...]:
        return checkout.kernels(program)

    @abstractmethod
    def _fault(self, test: ast.Module) -> str | None:
        """Say what a task's tests lack of what the suite's harness asks for."""


class TritonBenchRevised(_Programs):
    """TritonBench-G as GEAK-eval revised it: a program's tests leave `result_gold` when the file is imported."""

    name = "tritonbench-revised"
    about = "TritonBench-G as GEAK-eval revised it: 184 kernels in five levels"
    looks_for: tuple[str, ...] = (f"{_DATA}/TritonBench/data/TritonBench_G_v1",)
    style: Style = "module"
    index = f"{_DATA}/TritonBench/data/TritonBench_G_comp_alpac_v1_fixed_with_difficulty.json"
    performance = f"{_DATA}/TritonBench/performance_metrics/perf_G/golden_metrics"
    count = 184

    def _fault(self, test: ast.Module) -> str | None:
        assigned = {t.id for n in test.body if isinstance(n, ast.Assign) for t in n.targets if isinstance(t, ast.Name)}
        return None if "result_gold" in assigned else "its tests set no result_gold when the file is imported"

    def _unmeasured(self, root: Path) -> tuple[str, ...]:
        if missing := super()._unmeasured(root):
            return missing
        lacking = [t.name for t in self.load(root) if not (root / self.performance / f"{t.name}_perf.py").is_file()]
        return (f"{self.performance} lacks files for {', '.join(lacking)}",) if lacking else ()


class Rocm(_Programs):
    """The ROCm Triton benchmark: tests are pytest functions that fill `result_gold`."""

    name = "rocm"
    about = "the ROCm Triton benchmark of GEAK-eval: 31 files, tests by pytest"
    looks_for: tuple[str, ...] = (f"{_DATA}/ROCm/data/ROCm_v1",)
    style: Style = "pytest"
    index = f"{_DATA}/ROCm/data/ROCm_eval_complex_instruct_v1.json"
    performance = f"{_DATA}/ROCm/data/performance/golden_results"
    count = 31

    def _entries(self, program: ast.Module, record: dict[str, Any]) -> tuple[str, ...]:
        named = str(record.get("target_kernel_name", ""))
        return tuple(n.strip() for n in named.split(",") if n.strip()) or checkout.kernels(program)

    def _fault(self, test: ast.Module) -> str | None:
        names = {n.name for n in test.body if isinstance(n, ast.FunctionDef)}
        return None if any(n.startswith("test_") for n in names) else "it has no test functions"
