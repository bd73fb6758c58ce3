"""KernelBench checkouts: PyTorch modules in four levels; a candidate is a module that computes the same."""

import ast
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from suites.foreign import checkout
from suites.foreign.loaded import Loaded, SuiteError

_COUNTS = {"level1": 100, "level2": 100, "level3": 50, "level4": 20}
_BY_PRECISION = "get_tolerance_for_precision"  # what its evaluator asks since
_PARTS = ("Model", "get_inputs", "get_init_inputs")


class KernelBench:
    """Every file has a class `Model`, `get_inputs()` and `get_init_inputs()`."""

    name = "kernelbench"
    about = "KernelBench: 250 PyTorch modules in levels 1 to 3, 20 whole models in level 4"
    looks_for: tuple[str, ...] = ("KernelBench", "KernelBench/level1")

    def load(self, root: Path) -> Iterator[Loaded]:
        """Yield the problems level by level, in the order of their numbers."""
        checkout.require(root, self.name, self.looks_for)
        thresholds = _thresholds(root)
        for level in _COUNTS:
            for path in sorted((root / "KernelBench" / level).glob("*.py"), key=_number):
                yield replace(self._task(path, level), thresholds=thresholds)

    def notes(self, root: Path) -> tuple[str, ...]:
        """Name missing levels, odd numbers of problems, and an unknown version."""
        found = list(checkout.unknown_version(root, (None, "0.1.0", "0.2.0.dev0")))
        groups = [t.group for t in self.load(root)]
        for level, count in _COUNTS.items():
            have = groups.count(level)
            if have != count:
                found.append(f"{level} has {have} problems; the versions that were tried have {count}")
        return tuple(found)

    def _task(self, path: Path, level: str) -> Loaded:
        """Read one problem; whatever is wrong with it is its problem."""
        task = Loaded(name=f"{level}/{path.stem}", file=f"KernelBench/{level}/{path.name}", style="model", group=level)
        try:
            source = checkout.text(path)
        except SuiteError as error:
            return replace(task, problem=str(error))
        tree = checkout.tree(source)
        if isinstance(tree, str):
            return replace(task, problem=f"it cannot be parsed: {tree}")
        defined = {n.name for n in tree.body if isinstance(n, (ast.ClassDef, ast.FunctionDef))}
        lacking = [part for part in _PARTS if part not in defined]
        problem = f"it does not define {', '.join(lacking)}" if lacking else None
        return replace(task, source=source, entries=("ModelNew",), needs=checkout.absent(tree), problem=problem)


def _thresholds(root: Path) -> tuple[tuple[str, float], ...]:
    """Return the tolerance of a checkout whose evaluator has one for all precisions: those up to November 2025."""
    files = [root / place for place in ("src/kernelbench/eval.py", "src/eval.py")]
    found = next((path for path in files if path.is_file()), None)
    try:
        older = found is not None and _BY_PRECISION not in checkout.text(found)
    except SuiteError:
        older = False
    return (("allclose", 1e-2),) if older else ()


def _number(path: Path) -> tuple[int, str]:
    """Order 2_x before 10_x."""
    number = path.stem.split("_")[0]
    return (int(number) if number.isdecimal() else 1 << 30, path.stem)
