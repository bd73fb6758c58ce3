"""Proven kernels to show as an example: our own, and those of archives that a person names."""

import hashlib
import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import suites
from operators.knowledge.sameness import marks
from operators.knowledge.similarity import Shelf, shingles
from suites.loading import NATIVE

_KERNELS = Path(__file__).parent / "kernels"
_ENTRY = re.compile(r'^entry = "(\w+)"$', re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Example:
    """A kernel that passed every gate of its task.

    `task` is the digest of that task's text, `origin` is for people, `marks` tell that task under another name.
    """

    source: str
    task: str
    entry: str
    origin: str
    marks: frozenset[str] = frozenset()


class Library:
    """Examples on a shelf."""

    def __init__(self, examples: Sequence[Example] = ()) -> None:
        self._examples = tuple(examples)
        self._shelf = Shelf([shingles(e.source) for e in self._examples])

    def __len__(self) -> int:
        return len(self._examples)

    def nearest(self, source: str, task: suites.Task) -> Example | None:
        """Return the most alike example of another task: a search is never shown a solution of its own.

        A task under another name, with other words, cases or numbers, is the same task.
        """
        own = marks(task.source)

        def another(place: int) -> bool:
            example = self._examples[place]
            return example.task != task.digest and example.entry != task.entry and not example.marks & own

        found = self._shelf.nearest(shingles(source), 1, another)
        return self._examples[found[0].place] if found else None


def own() -> tuple[Example, ...]:
    """Return the kernels of operators/knowledge/kernels, each named for the native task that proved it.

    The tasks are read, not executed: that would import torch into every search that asks a model.
    """
    found = []
    for path in sorted(_KERNELS.glob("*.py")):
        task = (NATIVE / path.name).read_text(encoding="utf-8")
        digest = hashlib.sha256(task.encode()).hexdigest()[:16]
        entry = _ENTRY.search(task)
        assert entry is not None, f"{path.name}: a native task names its launcher in a line of its own"
        found.append(Example(path.read_text(encoding="utf-8"), digest, entry[1], f"for {path.stem}", marks(task)))
    return tuple(found)


def of(more: Iterable[Example] = (), same: Collection[str] = ()) -> Library:
    """Return our own examples with others; none of tasks, named by their digests, that are the one that is searched."""
    return Library(tuple(e for e in own() if e.task not in same) + tuple(more))
