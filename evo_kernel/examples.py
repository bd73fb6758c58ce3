"""The example kernels of a run: our own, and the best of archives that a person names.

They are gathered once and kept in the run's folder: a run that is resumed shows what it showed before, whatever has
become of those archives. Kernels of the task that is searched are left out, also where that task goes by another name:
its text, its launcher's name, or its reference or a seed but for names and numbers is the same.
"""

import os
from collections.abc import Sequence
from pathlib import Path

import msgpack

from evo_kernel import runs
from evo_kernel.errors import RunError
from operators.knowledge import library
from operators.knowledge.library import Example, Library
from operators.knowledge.sameness import marks
from suites import Task

FILE = "examples.msgpack"
FORMAT = 1
BEST = 8  # elites of one archive


def gather(archives: Sequence[str], task: Task) -> tuple[Example, ...]:
    """Return the fastest elites of runs whose times may be published: confirmed where they were measured."""
    found: dict[str, Example] = {}
    for folder in archives:
        state = runs.read(Path(folder))
        if _same(state.task, task):
            continue
        archive = state.search.archive
        for entry in [e for e in archive.ranked() if archive.published(e)][:BEST]:
            e = entry.evaluation
            origin = f"{state.task.name}, {e.basis} {entry.score_us:.2f} us on {e.target}"
            example = Example(entry.candidate.source, state.task.digest, state.task.entry, origin)
            found.setdefault(entry.candidate.fingerprint, example)
    return tuple(found.values())


def of_run(folder: Path, archives: Sequence[str], task: Task) -> Library:
    """Return the library of a run; the first to ask gathers it."""
    if not archives:
        return library.standard()
    if not (folder / FILE).exists():
        rows = [[e.source, e.task, e.entry, e.origin] for e in gather(archives, task)]
        scratch = folder / f"{FILE}.new"
        scratch.write_bytes(msgpack.packb([FORMAT, rows]))
        os.replace(scratch, folder / FILE)
    return library.of(_kept(folder / FILE))


def _kept(file: Path) -> tuple[Example, ...]:
    try:
        version, rows = msgpack.unpackb(file.read_bytes())
        if version != FORMAT:
            raise ValueError(f"format {version} is not {FORMAT}")
        return tuple(Example(str(source), str(task), str(entry), str(origin)) for source, task, entry, origin in rows)
    except (OSError, ValueError, TypeError) as error:
        raise RunError(f"{file} cannot be read: {error}; remove it, and the archives are read again") from error


def _same(one: Task, other: Task) -> bool:
    """Tell whether two tasks are one, whatever their names."""
    return one.digest == other.digest or one.entry == other.entry or bool(marks(one.source) & marks(other.source))
