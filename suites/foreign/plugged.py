"""Stands before another person's loader, so that its mistakes are one line about that suite and nothing else."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from suites.foreign import fields
from suites.foreign.loaded import Loaded, Loader, SuiteError

T = TypeVar("T")

_PARTS = ("name", "about", "looks_for", "load", "notes")


def asked(who: str, ask: Callable[[], T]) -> T:
    """Return what another person's code gives; SuiteError in one line that begins with `who` for what it raises."""
    try:
        return ask()
    except SuiteError:
        raise
    except (Exception, SystemExit) as error:  # it may raise anything; a KeyboardInterrupt is the user's own
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise SuiteError(f"{who} {''.join(c if c.isprintable() else '?' for c in reason)}") from error


class Plugged:
    """A loader by its entry point's name; what it gives is looked at before anybody uses it."""

    def __init__(self, name: str, origin: str, made: Any) -> None:
        lacking = [part for part in _PARTS if not hasattr(made, part)]
        if lacking:
            raise SuiteError(f"suite {name} ({origin}) is no loader: it lacks {', '.join(lacking)}")
        about, looks_for = made.about, made.looks_for
        if not isinstance(about, str):
            raise SuiteError(f"suite {name} ({origin}): its about is {type(about).__name__}, not a line of text")
        if not isinstance(looks_for, (tuple, list)) or not all(isinstance(path, str) for path in looks_for):
            raise SuiteError(f"suite {name} ({origin}): its looks_for is {looks_for!r}, not a tuple of paths")
        self._made: Loader = made
        self.name, self.about, self.looks_for = name, about, tuple(looks_for)

    def load(self, root: Path) -> Iterator[Loaded]:
        """Yield its tasks; SuiteError where they are none, or their names cannot name folders of a run."""
        yield from self._asked(lambda: tuple(self._checked(root)))

    def notes(self, root: Path) -> tuple[str, ...]:
        """Return its remarks."""
        return self._asked(lambda: tuple(map(str, self._made.notes(root))))

    def _checked(self, root: Path) -> Iterator[Loaded]:
        """Yield what the loader gives, once it has been looked at."""
        names: set[str] = set()
        for task in self._made.load(root):
            if not isinstance(task, Loaded):
                raise SuiteError(f"suite {self.name}: its loader gave {type(task).__name__} for a task")
            if fault := fields.fault(task):
                which = f"task {task.name!r}" if isinstance(task.name, str) else f"task {len(names) + 1}"
                raise SuiteError(f"suite {self.name}, {which}: {fault}")
            if task.name in names or task.name in ("", ".", ".."):
                raise SuiteError(f"suite {self.name}: a task needs a name of its own, not {task.name!r}")
            names.add(task.name)
            yield task

    def _asked(self, ask: Callable[[], T]) -> T:
        return asked(f"suite {self.name}: its loader raised", ask)
