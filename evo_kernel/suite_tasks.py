"""Makes Tasks of a suite's tasks, so that they can be searched, or says in one line why one cannot be."""

from pathlib import Path

from evo_kernel.suite_survey import chosen, lacks, survey
from suites import Task, load
from suites.foreign import Loaded
from suites.loading import TaskError


def members(suite: str, root: Path | None, names: tuple[str, ...] = ()) -> tuple[Loaded, ...]:
    """Return a suite's tasks, or those named."""
    return chosen(survey(suite, root).tasks, names)


def why_not(found: Loaded) -> str | None:
    """Say in one line why a suite's task cannot be searched, as far as its text tells."""
    return found.problem or (lacks(found) if found.needs else _WHY.get(found.style))


def task(suite: str, root: Path | None, name: str) -> Task:
    """Return one task of a suite as a Task; TaskError where it cannot be one."""
    (found,) = members(suite, root, (name,))
    if (why := why_not(found)) is not None:
        raise TaskError(why)
    return load(str(root / found.file) if root is not None else name)


_UNSTATED = "its reference is a Triton program and its test draws its own inputs: no PyTorch says what is right"
_SEEDLESS = "it comes with PyTorch alone, and a search begins with a right Triton kernel"
_WHY = {"module": _UNSTATED, "pytest": _UNSTATED, "script": _UNSTATED, "function": _SEEDLESS, "model": _SEEDLESS}
