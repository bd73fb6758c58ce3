"""The example kernels of a run: our own, and the best of archives that a person names.

They are settled once and kept in the run's folder: a run that is resumed shows what it showed before, whatever has
become of those archives. Kernels of the task that is searched are left out, also where that task goes by another name:
its text, its launcher's name, its reference or a seed but for names and numbers is the same as another's, or its
reference computes what a native task's does (fitness/likeness.py). Not known again is a task that is none of ours, was
rewritten in all of these, and comes from an archive; and one whose tensors are others: laid out, split or joined.
"""

import os
from collections.abc import Sequence
from pathlib import Path

import msgpack

from evo_kernel import runs
from evo_kernel.errors import RunError
from fitness.likeness import alike
from operators.knowledge import library
from operators.knowledge.library import Example, Library
from operators.knowledge.sameness import marks
from suites import Task

FILE = "examples.msgpack"
FORMAT = 2  # 1 had no tasks that compute the same
BEST = 8  # elites of one archive


def gather(archives: Sequence[str], task: Task, same: Sequence[Task] = ()) -> tuple[Example, ...]:
    """Return the fastest elites of runs whose times may be published: confirmed where they were measured.

    `same` are native tasks that compute what the task does.
    """
    found: dict[str, Example] = {}
    for folder in archives:
        state = runs.read(Path(folder))
        if any(_same(state.task, one) for one in (task, *same)):
            continue
        archive = state.search.archive
        for entry in [e for e in archive.ranked() if archive.published(e)][:BEST]:
            e = entry.evaluation
            origin = f"{state.task.name}, {e.basis} {entry.score_us:.2f} us on {e.target}"
            example = Example(entry.candidate.source, state.task.digest, state.task.entry, origin)
            found.setdefault(entry.candidate.fingerprint, example)
    return tuple(found.values())


def of_task(archives: Sequence[str], task: Task) -> Library:
    """Return the library of a run that has not begun."""
    same = alike(task)
    return library.of(gather(archives, task, same), [one.digest for one in same])


def settle(folder: Path, archives: Sequence[str], task: Task, same: Sequence[Task]) -> None:
    """Gather the examples of a run into its folder."""
    rows = [[e.source, e.task, e.entry, e.origin] for e in gather(archives, task, same)]
    scratch = folder / f"{FILE}.new"
    try:
        scratch.write_bytes(msgpack.packb([FORMAT, rows, [one.digest for one in same]]))
        os.replace(scratch, folder / FILE)
    except OSError as error:
        raise RunError(f"cannot write {scratch}: {error.strerror}") from error


def of_run(folder: Path, archives: Sequence[str], task: Task) -> Library:
    """Return the library of a run; of one that was begun without any, tasks are compared by their text alone.

    The text of a run's task may be a stranger's: only whoever names a task's file has it run here.
    """
    if not (folder / FILE).exists():
        settle(folder, archives, task, ())
    return _kept(folder / FILE)


def shown(folder: Path, archives: Sequence[str], task: Task) -> Library:
    """Return the library of a run without settling it: whoever looks at a run changes nothing."""
    return _kept(folder / FILE) if (folder / FILE).exists() else library.of(gather(archives, task))


def _kept(file: Path) -> Library:
    try:
        version, rows, *same = msgpack.unpackb(file.read_bytes())
        if version not in (1, FORMAT):
            raise ValueError(f"format {version} is not {FORMAT}")
        more = [Example(str(source), str(task), str(entry), str(origin)) for source, task, entry, origin in rows]
        return library.of(more, *same)
    except (OSError, ValueError, TypeError) as error:
        raise RunError(f"{file} cannot be read: {error}; remove it, and the archives are read again") from error


def _same(one: Task, other: Task) -> bool:
    """Tell whether two tasks are one, whatever their names."""
    return one.digest == other.digest or one.entry == other.entry or bool(marks(one.source) & marks(other.source))
