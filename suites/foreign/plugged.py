"""Stands before another person's loader, so that its mistakes are one line about that suite and nothing else."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from suites.foreign.loaded import Loaded, Loader, SuiteError

T = TypeVar("T")

_PARTS = ("name", "about", "looks_for", "load", "notes")


class Plugged:
    """A loader by its entry point's name; what it gives is looked at before anybody uses it."""

    def __init__(self, name: str, origin: str, made: Any) -> None:
        lacking = [part for part in _PARTS if not hasattr(made, part)]
        if lacking:
            raise SuiteError(f"suite {name} ({origin}) is no loader: it lacks {', '.join(lacking)}")
        self._made: Loader = made
        self.name, self.about, self.looks_for = name, str(made.about), tuple(map(str, made.looks_for))

    def load(self, root: Path) -> Iterator[Loaded]:
        """Yield its tasks; SuiteError where they are none, or their names cannot name folders of a run."""
        names: set[str] = set()
        for task in self._asked(lambda: tuple(self._made.load(root))):
            if not isinstance(task, Loaded):
                raise SuiteError(f"suite {self.name}: its loader gave {type(task).__name__} for a task")
            if task.name in names or task.name in ("", ".", ".."):
                raise SuiteError(f"suite {self.name}: a task needs a name of its own, not {task.name!r}")
            names.add(task.name)
            yield task

    def notes(self, root: Path) -> tuple[str, ...]:
        """Return its remarks."""
        return self._asked(lambda: tuple(map(str, self._made.notes(root))))

    def _asked(self, ask: Callable[[], T]) -> T:
        try:
            return ask()
        except SuiteError:
            raise
        except Exception as error:  # another person's code, which may raise anything
            raise SuiteError(f"suite {self.name}: its loader raised {type(error).__name__}: {error}") from error
