"""What suites share whose programs lie in a folder, each with its tests behind a line of 146 #.

A JSON list beside the folder tells instructions and levels; where it is missing, the folder alone is read.
"""

import ast
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from suites.foreign import checkout
from suites.foreign.loaded import Loaded, Style, SuiteError

SEPARATOR = "#" * 146  # a line of it parts a program from its tests; some files have spaces behind it
OWN = ("geak_eval", "tb_eval", "performance_utils_pytest")  # what tests import of a suite itself, by its several names


class Programs(ABC):
    """A suite of this form; what tells one from another are its attributes and what it asks of the tests."""

    name: str
    about: str
    looks_for: tuple[str, ...]
    style: Style
    index: str
    performance: str
    count: int
    versions: tuple[str | None, ...]
    pattern: str = "*.py"  # of programs below the folder
    lacking: str = "no function of its program is decorated with triton.jit"
    told: str = "instruction"  # the list's key for what a model is told

    def load(self, root: Path) -> Iterator[Loaded]:
        """Yield the tasks that the list names, then files that it does not name."""
        checkout.require(root, self.name, self.looks_for)
        listed = self._listed(root)
        for file in (*listed, *(f for f in self._programs(root) if f not in listed)):
            yield self._task(root, file, listed.get(file, {}))

    def notes(self, root: Path) -> tuple[str, ...]:
        """Name missing lists and performance files, odd numbers of tasks, and an unknown version."""
        found = list(checkout.unknown_version(root, self.versions))
        if not (root / self.index).is_file():
            found.append(f"{self.index} is missing: instructions and levels are unknown")
        else:
            found += self._unlisted(root)
        count = sum(1 for _ in self.load(root))
        if count != self.count:
            found.append(f"it has {count} tasks; the versions that were tried have {self.count}")
        return (*found, *self._unmeasured(root))

    def _unlisted(self, root: Path) -> tuple[str, ...]:
        """Say how many programs the list does not name."""
        listed, files = self._listed(root), self._programs(root)
        lost = [file for file in files if file not in listed]
        told = f"{Path(self.index).name} does not name {len(lost)} of the {len(files)} programs"
        return (f"{told}: their instructions and levels are unknown",) if lost else ()

    def _unmeasured(self, root: Path) -> tuple[str, ...]:
        if (root / self.performance).is_dir():
            return ()
        return (f"the folder {self.performance} is missing: no times can be taken as the suite takes them",)

    def _programs(self, root: Path) -> list[str]:
        """List the files of the folder."""
        folder = root / self.looks_for[0]
        found = (p for p in folder.glob(self.pattern) if p.name != "__init__.py")
        return sorted(p.relative_to(folder).as_posix() for p in found)

    def _listed(self, root: Path) -> dict[str, dict[str, Any]]:
        """Return the list's records by file, in its order."""
        if not (root / self.index).is_file():
            return {}
        try:
            found = checkout.records(root / self.index, ("file", self.told))
        except SuiteError as error:
            raise SuiteError(f"suite {self.name}: {error}") from error
        strange = [r["file"] for r in found if not self._inside(r["file"])]
        if strange:
            raise SuiteError(f"suite {self.name}: {self.index} names a file outside its folder: {strange[0]!r}")
        return {r["file"]: r for r in found}

    def _task(self, root: Path, file: str, record: dict[str, Any]) -> Loaded:
        """Read one program; whatever is wrong with it is its problem."""
        level = record.get("difficulty")
        task = Loaded(
            name=file.removesuffix(".py"),
            file=f"{self.looks_for[0]}/{file}",
            style=self.style,
            group=None if level is None else str(level),
            instruction=record.get(self.told, ""),
        )
        try:
            source, tests, program, test = halves(checkout.text(root / self.looks_for[0] / file))
        except SuiteError as error:
            return replace(task, problem=str(error))
        entries = self._entries(program, file, record)
        problem = None if entries else self.lacking
        try:
            files = self._files(root, test)
        except SuiteError as error:
            return replace(task, problem=f"what its tests need cannot be had: {error}")
        lost = self._lost(test, {Path(path).stem for path, _ in files})
        own = [Path(path).stem for path in (*dict(files), *lost)]
        needs = checkout.absent(ast.Module([*program.body, *test.body], []), (*OWN, *own))
        problem = problem or self._fault(test)
        if lost and not problem:
            problem = f"the checkout lacks {', '.join(lost)}, which its tests import"
        try:
            timing, untimed = self._timing(root, file, test), ""
        except SuiteError as error:
            timing, untimed = (), str(error)
        return replace(
            task, source=source, tests=tests, entries=entries, needs=needs, problem=problem,
            files=files, category=self._category(file), thresholds=self._thresholds(record),
            timing=timing, untimed=untimed,
        )  # fmt: skip

    def _inside(self, file: str) -> bool:
        """Whether a file that the list names lies where programs lie."""
        return Path(file).match(self.pattern) and not Path(file).is_absolute() and ".." not in Path(file).parts

    def _category(self, file: str) -> str | None:
        """Return what kind of work a program is, where its place says so."""
        return file.split("/")[0] if "/" in file else None

    def _thresholds(self, record: dict[str, Any]) -> tuple[tuple[str, float], ...]:
        """Return the limits that the list states for one program alone."""
        return ()

    def _files(self, root: Path, test: ast.Module) -> tuple[tuple[str, str], ...]:
        """Return what else the tests need of the checkout."""
        return ()

    def _timing(self, root: Path, file: str, test: ast.Module) -> tuple[tuple[str, str], ...]:
        """Return the file that takes a program's times, and the module of the suite that it imports."""
        own = root / self.performance / f"{Path(file).stem}_perf.py"
        shared = root / Path(self.performance).parent / "performance_utils.py"
        found = (shared, own) if own.is_file() and shared.is_file() else ()
        texts = tuple((path.name, checkout.part(root, path)) for path in found)
        if empty := [name for name, text in texts if not text.strip()]:
            raise SuiteError(f"in {self.performance}: {empty[0]} is empty")
        return texts

    def _lost(self, test: ast.Module, found: Collection[str]) -> tuple[str, ...]:
        """Return what else the tests need of the checkout and it lacks, by its path; the modules found are there."""
        return ()

    def _entries(self, program: ast.Module, file: str, record: dict[str, Any]) -> tuple[str, ...]:
        return checkout.kernels(program)

    @abstractmethod
    def _fault(self, test: ast.Module) -> str | None:
        """Say what a task's tests lack of what the suite's harness asks for."""

    def _unnamed(self, root: Path) -> tuple[str, ...]:
        """Name the tasks that have no file of their own for taking times."""
        lacking = [
            t.name for t in self.load(root) if not (root / self.performance / f"{Path(t.name).name}_perf.py").is_file()
        ]
        return (f"{self.performance} lacks files for {', '.join(lacking)}",) if lacking else ()


def assigned(module: ast.Module) -> set[str]:
    """List the names that a module's top level gives values."""
    return {t.id for n in module.body if isinstance(n, ast.Assign) for t in n.targets if isinstance(t, ast.Name)}


def before_tests(whole: str, tests: str) -> str:
    """Return what stands before these tests in a suite's file; all of any other text."""
    program, _, rest = whole.rpartition(SEPARATOR)
    return program if program and rest.strip() == tests.strip() else whole


def halves(whole: str) -> tuple[str, str, ast.Module, ast.Module]:
    """Return a file's program and its tests, as text and as trees; SuiteError says why it has no such halves."""
    source, *tests = whole.split(SEPARATOR)
    if len(tests) != 1:
        raise SuiteError(f"expected one line of 146 # between program and tests, found {len(tests)}")
    program, test = checkout.tree(source), checkout.tree(tests[0])
    if isinstance(program, str):
        raise SuiteError(f"its program cannot be parsed: {program}")
    if isinstance(test, str):
        raise SuiteError(f"its tests cannot be parsed: {test}")
    return source, tests[0], program, test
