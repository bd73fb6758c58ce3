"""Makes Tasks of a suite's tasks, so that they can be searched, or says in one line why one cannot be."""

from pathlib import Path

from evo_kernel.suite_survey import chosen, survey
from suites import Task, load
from suites.foreign import Loaded
from suites.loading import TaskError


def members(suite: str, root: Path | None, names: tuple[str, ...] = ()) -> tuple[Loaded, ...]:
    """Return a suite's tasks, or those named."""
    return chosen(survey(suite, root).tasks, names)


def task(suite: str, root: Path | None, name: str) -> Task:
    """Return one task of a suite as a Task; TaskError where it cannot be one."""
    (found,) = members(suite, root, (name,))
    if found.problem is not None or found.needs:
        raise TaskError(found.problem or f"it needs {', '.join(found.needs)}, not installed here")
    if found.style == "native":
        return load(str(root / found.file) if root is not None else name)
    raise TaskError(_WHY[found.style])


_UNSTATED = "its reference is a Triton program and its test draws its own inputs: no PyTorch says what is right"
_WHY = {
    "module": _UNSTATED,
    "pytest": _UNSTATED,
    "script": _UNSTATED,
    "function": "its inputs are drawn inside its test: no sizes to judge and time a program at are stated",
    "model": "its forward pass is not made a task yet",
}
