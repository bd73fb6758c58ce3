"""Proven kernels to show as an example: our own, and those of archives that a person names."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache

import suites
from operators.knowledge.similarity import Shelf, shingles


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
    """Return the seeds of the native tasks: plain, and right on every case."""
    tasks = (suites.load(name) for name in suites.names())
    return tuple(Example(s.source, t.digest, t.entry, f"the seed of {t.name}") for t in tasks for s in t.seeds)


@cache
def standard() -> Library:
    """Return the library of a search to which nobody gave more."""
    return Library(own())


def of(more: Iterable[Example]) -> Library:
    """Return our own examples with others."""
    return Library((*own(), *more))
