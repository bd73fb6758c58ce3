"""KernelBench-X checkouts: plain PyTorch functions in fifteen categories; a candidate defines the same function."""

import ast
import sys
from collections.abc import Collection
from pathlib import Path
from typing import Any

from suites.foreign import checkout
from suites.foreign.loaded import Style
from suites.foreign.programs import OWN, Programs, assigned


class KernelBenchX(Programs):
    """Each file has a reference function of the file's name, and tests that leave `test_results`."""

    name = "kernelbench-x"
    about = "KernelBench-X: 176 PyTorch functions and 8 more in half precision, in fifteen categories and five levels"
    looks_for: tuple[str, ...] = ("data/kernelbenchx",)
    style: Style = "function"
    index = "data/kernelbenchx_v1.json"
    performance = "metrics/golden_metrics"
    count = 184
    versions = (None,)
    pattern = "*/*.py"
    told = "description"
    lacking = "its program defines no function"
    modules = "utils"  # the folder of what tests import beside torch

    def _entries(self, program: ast.Module, file: str, record: dict[str, Any]) -> tuple[str, ...]:
        defined = tuple(n.name for n in program.body if isinstance(n, ast.FunctionDef))
        stem = Path(file).stem
        return (stem,) if stem in defined else defined

    def _thresholds(self, record: dict[str, Any]) -> tuple[tuple[str, float], ...]:
        stated = record.get("precision_thresholds")
        named = stated.items() if isinstance(stated, dict) else ()
        finite = ((k, v) for k, v in named if isinstance(v, (int, float)) and abs(v) <= sys.float_info.max)
        return tuple((str(k), float(v)) for k, v in finite)

    def _fault(self, test: ast.Module) -> str | None:
        return None if "test_results" in assigned(test) else "its tests set no test_results when the file is imported"

    def _files(self, root: Path, test: ast.Module) -> tuple[tuple[str, str], ...]:
        imported = {n.module for n in test.body if isinstance(n, ast.ImportFrom) and n.module}
        found = [root / self.modules / f"{name}.py" for name in sorted(imported)]
        return tuple((path.name, checkout.part(root, path)) for path in found if path.is_file())

    def _lost(self, test: ast.Module, found: Collection[str]) -> tuple[str, ...]:
        """Take what a test imports and nobody has for a file of the folder that the test puts on Python's path."""
        texts = (n.value for n in ast.walk(test) if isinstance(n, ast.Constant) and isinstance(n.value, str))
        if not any(Path(text).name == self.modules for text in texts):
            return ()
        return tuple(f"{self.modules}/{name}.py" for name in checkout.absent(test, (*OWN, *found)))

    def _unmeasured(self, root: Path) -> tuple[str, ...]:
        return super()._unmeasured(root) or self._unnamed(root)
