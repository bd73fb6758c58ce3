"""Proven kernels to show as an example: our own, and those of archives that a person names."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import suites
from operators.knowledge.similarity import Shelf, shingles

_KERNELS = Path(__file__).parent / "kernels"


@dataclass(frozen=True, slots=True)
class Example:
    """A kernel that passed every gate of its task. `task` is the digest of that task's text, `origin` is for people."""

    source: str
    task: str
    entry: str
    origin: str


class Library:
    """Examples on a shelf."""

    def __init__(self, examples: Sequence[Example] = ()) -> None:
        self._examples = tuple(examples)
        self._shelf = Shelf([shingles(e.source) for e in self._examples])

    def __len__(self) -> int:
        return len(self._examples)

    def nearest(self, source: str, task: suites.Task) -> Example | None:
        """Return the most alike example of another task: a search is never shown a solution of its own."""

        def another(place: int) -> bool:
            example = self._examples[place]
            return example.task != task.digest and example.entry != task.entry

        found = self._shelf.nearest(shingles(source), 1, another)
        return self._examples[found[0].place] if found else None


def own() -> tuple[Example, ...]:
    """Return the kernels of operators/knowledge/kernels, each named for the native task that proved it."""
    found = []
    for path in sorted(_KERNELS.glob("*.py")):
        task = suites.load(path.stem)
        found.append(Example(path.read_text(encoding="utf-8"), task.digest, task.entry, f"for {task.name}"))
    return tuple(found)


@cache
def standard() -> Library:
    """Return the library of a search to which nobody gave more."""
    return Library(own())


def of(more: Iterable[Example]) -> Library:
    """Return our own examples with others."""
    return Library((*own(), *more))
