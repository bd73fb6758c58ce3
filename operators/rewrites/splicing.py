"""Puts edits and new statements into a program's text: what they leave alone is copied."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import libcst as cst

from operators.program_tree import Edit, Path, Tree, copied, edited
from operators.rewrites.writing import text_of


@dataclass(frozen=True, slots=True)
class Insertion:
    """Statements that come before one of a block's, which `index` counts; they are made when they are wanted.

    Insertions of equal names in one place are one.
    """

    block: Path
    index: int
    name: str
    make: Callable[[], tuple[cst.BaseStatement, ...]] = field(compare=False)


def inserting(found: Sequence[Insertion]) -> Edit:
    """Return the edit of a block that puts statements in, from the last place to the first."""

    def edit(block: Any) -> Any:
        body = list(block.body)
        for one in _from_the_end(found):
            body[one.index : one.index] = one.make()
        return copied(block, {"body": body})

    return edit


def _from_the_end(found: Sequence[Insertion]) -> list[Insertion]:
    """Order insertions so that none moves the place of another, and those of one place keep their order."""
    order = sorted(range(len(found)), key=lambda n: (found[n].index, n), reverse=True)
    return [found[n] for n in order]


def spliced(source: str, tree: Tree, edits: Sequence[tuple[Path, Edit]], added: Sequence[Insertion]) -> str:
    """Write out only those statements of the module that changed or are new: the rest of the text is copied."""
    text, module = text_of(source, tree), tree.module
    parts = text.parts()
    below: dict[int, list[tuple[Path, Edit]]] = {}
    for path, edit in edits:
        below.setdefault(path[0][1] or 0, []).append((path[1:], edit))
    for index, some in below.items():
        parts[index + 1] = text.written(edited(module.body[index], some))
    for one in _from_the_end(added):
        parts[one.index + 1 : one.index + 1] = [text.written(new) for new in one.make()]
    return "".join(parts)
