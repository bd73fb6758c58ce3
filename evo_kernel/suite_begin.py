"""Begins a suite run, or opens the one that a folder holds after seeing that the same was asked for."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from evo_kernel import config_files, isolation, machine, suite_folder, suite_tasks
from evo_kernel.errors import RunError
from evo_kernel.suite_folder import Member, SuiteRun
from suites.foreign import Loaded

USUAL = {"pool": "inline", "stop_at_roofline": 0.95, "stop_after_stagnation": 48}


def begin(folder: Path, suite: str, root: Path | None, names: tuple[str, ...], budget: int,
          given: Mapping[str, Any]) -> SuiteRun:  # fmt: skip
    """Write down what is asked for; in a folder that has a suite run, look whether it is the same."""
    settings = machine.resolve(config_files.load(None, {**USUAL, **{k: v for k, v in given.items() if v is not None}}))
    isolation.require_here(settings)
    tasks = suite_tasks.members(suite, root, names)
    asked = SuiteRun(
        suite,
        None if root is None else os.path.abspath(root),
        tuple(map(_member, tasks)),
        budget,
        _frozen(settings.frozen),
    )
    if budget < asked.turn:
        raise RunError(f"a budget of {budget} evaluations is less than one turn of a task, which is {asked.turn}")
    if not asked.searched:
        raise RunError(f"no task of {suite} can be searched; of {tasks[0].name}: {suite_tasks.why_not(tasks[0])}")
    if not suite_folder.exists(folder):
        suite_folder.write(folder, asked)
    before = suite_folder.read(folder)
    words = {"members": "tasks"}
    differing = [words.get(part, part) for part in SuiteRun.__slots__ if getattr(before, part) != getattr(asked, part)]
    if differing:
        raise RunError(
            f"{folder} holds a suite run with other {', '.join(differing)}: leave them out, or give another --out"
        )
    return before


def _member(task: Loaded) -> Member:
    return Member(task.name, task.group, task.category, suite_tasks.why_not(task))


def _frozen(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings as JSON gives them back."""
    return {k: list(v) if isinstance(v, tuple) else v for k, v in settings.items()}
