"""The native tasks seen as a suite, so that what is said of other suites can be said of them."""

import ast
from collections.abc import Iterator
from pathlib import Path

from suites.foreign import checkout
from suites.foreign.loaded import Loaded, SuiteError
from suites.loading import NATIVE, TaskError, parts

_STATED = ("entry", "level", "category")


class Native:
    """The tasks that come with the program; their root is known, and any folder of task files is read alike."""

    name = "native"
    about = "the tasks that come with this program; no --root is needed"
    looks_for: tuple[str, ...] = ()

    def load(self, root: Path | None = None) -> Iterator[Loaded]:
        """Yield every task file of the folder, without running any."""
        folder = root or NATIVE
        checkout.require(folder, self.name, ())
        files = sorted(p for p in folder.glob("*.py") if p.stem != "__init__")
        if not files:
            raise SuiteError(f"suite {self.name}: {folder} has no task files (*.py)")
        for path in files:
            yield _task(path)

    def notes(self, root: Path | None = None) -> tuple[str, ...]:
        """Have nothing to say: these tasks are of this program's version."""
        return ()


def _task(path: Path) -> Loaded:
    """Read one task file: its first seed is what a candidate replaces."""
    try:
        seeds, rest = parts(checkout.text(path))
    except (TaskError, SuiteError) as error:
        return Loaded(name=path.stem, file=path.name, style="native", problem=str(error))
    if not seeds:
        return Loaded(name=path.stem, file=path.name, style="native", problem="it has no seed kernel")
    tree = checkout.tree(rest)
    if isinstance(tree, str):
        return Loaded(name=path.stem, file=path.name, style="native", problem=f"it cannot be parsed: {tree}")
    stated = _stated(tree)
    entry, level, category = (stated.get(part) for part in _STATED)
    problem = None if isinstance(entry, str) else 'it has no `entry = "name"`'
    return Loaded(
        path.stem, path.name, "native", group=None if level is None else str(level), source=seeds[0].source, tests=rest,
        entries=() if problem else (str(entry),), problem=problem,
        category=None if category is None else str(category),
    )  # fmt: skip


def _stated(tree: ast.Module) -> dict[str, object]:
    """Read the launcher's name, the category and the level as the file states them."""
    found: dict[str, object] = {}
    for node in tree.body:
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant):
            found |= {t.id: node.value.value for t in node.targets if isinstance(t, ast.Name) and t.id in _STATED}
    return found
