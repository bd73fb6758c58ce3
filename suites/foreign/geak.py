"""GEAK-eval checkouts: TritonBench-G revised (184 kernels, five levels) and the ROCm benchmark (31 kernels).

Older checkouts tell the tasks in a JSON file beside the folder of programs; newer ones have the folder alone, so there
instructions and levels are unknown. The folder of all data was called otherwise until the end of 2025, or was the root.
"""

import ast
import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

from suites.foreign import checkout
from suites.foreign.loaded import Loaded, Style
from suites.foreign.programs import Programs, assigned

_DATA = "geak_eval/data"
_BEFORE = ("tb_eval/data/", "")  # what it was called
_TIMERS = tuple(
    f"{place}performance_utils_pytest.py" for place in ("geak_eval/perf/ROCm/", "tb_eval/perf/ROCm/", "perf/ROCm/", "")
)


class Geak(Programs):
    """What is in these checkouts, wherever its data lie."""

    def load(self, root: Path) -> Iterator[Loaded]:
        """Yield the tasks that the list names, then files that it does not name."""
        yield from super(Geak, self._laid(root)).load(root)

    def notes(self, root: Path) -> tuple[str, ...]:
        """Name missing lists and performance files, odd numbers of tasks, and an unknown version."""
        return super(Geak, self._laid(root)).notes(root)

    def _laid(self, root: Path) -> Self:
        """Return this loader with the paths that the checkout has."""
        for data in _BEFORE:
            found = copy.copy(self)
            found.looks_for = tuple(part.replace(f"{_DATA}/", data) for part in self.looks_for)
            found.index, found.performance = (p.replace(f"{_DATA}/", data) for p in (self.index, self.performance))
            if not (root / self.looks_for[0]).is_dir() and (root / found.looks_for[0]).is_dir():
                return found
        return self


class TritonBenchRevised(Geak):
    """TritonBench-G as GEAK-eval revised it: a program's tests leave `result_gold` when the file is imported."""

    name = "tritonbench-revised"
    about = "TritonBench-G as GEAK-eval revised it: 184 kernels in five levels"
    looks_for: tuple[str, ...] = (f"{_DATA}/TritonBench/data/TritonBench_G_v1",)
    style: Style = "module"
    index = f"{_DATA}/TritonBench/data/TritonBench_G_comp_alpac_v1_fixed_with_difficulty.json"
    performance = f"{_DATA}/TritonBench/performance_metrics/perf_G/golden_metrics"
    count = 184
    versions = ("0.1.0",)

    def _fault(self, test: ast.Module) -> str | None:
        return None if "result_gold" in assigned(test) else "its tests set no result_gold when the file is imported"

    def _unmeasured(self, root: Path) -> tuple[str, ...]:
        return super()._unmeasured(root) or self._unnamed(root)


class Rocm(Geak):
    """The ROCm Triton benchmark: tests are pytest functions that fill `result_gold`."""

    name = "rocm"
    about = "the ROCm Triton benchmark of GEAK-eval: 31 files, tests by pytest"
    looks_for: tuple[str, ...] = (f"{_DATA}/ROCm/data/ROCm_v1",)
    style: Style = "pytest"
    index = f"{_DATA}/ROCm/data/ROCm_eval_complex_instruct_v1.json"
    performance = f"{_DATA}/ROCm/data/performance/golden_results"
    count = 31
    versions = ("0.1.0",)

    def _entries(self, program: ast.Module, file: str, record: dict[str, Any]) -> tuple[str, ...]:
        named = str(record.get("target_kernel_name", ""))
        return tuple(n.strip() for n in named.split(",") if n.strip()) or checkout.kernels(program)

    def _timing(self, root: Path, file: str, test: ast.Module) -> tuple[tuple[str, str], ...]:
        """Return the timer that the tests import, under the name that they import it by."""
        if "test_performance" not in {n.name for n in test.body if isinstance(n, ast.FunctionDef)}:
            return ()
        imported = [n.module for n in test.body if isinstance(n, ast.ImportFrom) and n.module]
        name = next((m for m in imported if m.rpartition(".")[2] == "performance_utils_pytest"), None)
        found = [place for place in _TIMERS if name is not None and (root / place).is_file()]
        return tuple((f"{str(name).replace('.', '/')}.py", checkout.part(root, root / place)) for place in found[:1])

    def _fault(self, test: ast.Module) -> str | None:
        names = {n.name for n in test.body if isinstance(n, ast.FunctionDef)}
        return None if any(n.startswith("test_") for n in names) else "it has no test functions"
