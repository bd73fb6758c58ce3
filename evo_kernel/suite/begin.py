"""Begins a suite run, or opens the one that a folder holds after seeing that the same was asked for."""

import hashlib
import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from evo_kernel import config_files, idle, isolation, machine, talks
from evo_kernel.config import BEFORE, Settings
from evo_kernel.errors import RunError
from evo_kernel.suite import folder as suite_folder
from evo_kernel.suite import share
from evo_kernel.suite import survey as suite_survey
from evo_kernel.suite import tasks as suite_tasks
from evo_kernel.suite.differing import differing
from evo_kernel.suite.folder import Member, SuiteRun
from suites.foreign import Loaded

USUAL = {"pool": "inline", "stop_at_roofline": 0.95, "stop_after_stagnation": 48}


def begin(folder: Path, suite: str, root: Path | None, names: tuple[str, ...], budget: int,
          given: Mapping[str, Any], config_file: str | None, say: Callable[[str], None]) -> SuiteRun:  # fmt: skip
    """Write down what is asked for; in a folder that has a suite run, look whether it is the same.

    One of an older version goes on as it was begun: what was no setting then is as it was in effect.
    """
    settings = _settings(given, config_file)
    if not suite_folder.exists(folder):
        idle.check(settings, [name for name, value in given.items() if value is not None], say)
    isolation.require_here(settings)
    talks.require_models(settings)
    survey = suite_survey.survey(suite, root)
    tasks = suite_survey.chosen(survey.tasks, names)
    asked = SuiteRun(
        suite,
        None if root is None else os.path.abspath(root),
        tuple(Member(t.name, t.group, t.category, suite_tasks.why_not(t, bool(settings.models))) for t in tasks),
        budget,
        _frozen(settings.frozen),
        digest(tasks),
        survey.notes,
    )
    if budget < asked.turn:
        raise RunError(f"a budget of {budget} evaluations is less than one turn of a task, which is {asked.turn}")
    share.require(settings, asked.turns)
    hopeless = [_hopeless(t, settings) for t in tasks]
    if all(hopeless):
        raise RunError(f"no task of {suite} can be searched; of {tasks[0].name}: {hopeless[0]}")
    if not suite_folder.exists(folder):
        suite_folder.require_outside(suite, root, suite_folder.places(folder, settings))
        suite_folder.require_unused(folder)
        suite_folder.write(folder, asked)
    before = suite_folder.read(folder)
    unsaid = {k: v for k, v in _frozen(BEFORE).items() if k in asked.settings and k not in before.settings}
    before, asked = (replace(one, settings={**one.settings, **unsaid}) for one in (before, asked))
    older = before.texts in ("", digest(tasks, timed=False))
    if older or before.members != asked.members:  # of an older version, or other texts in any case
        asked = replace(asked, texts=before.texts)
    if found := differing(before, asked):
        asks = "Ask for what it was begun with, or give another --out"
        raise RunError(f"{folder} holds a suite run with other {'; '.join(found)}. {asks}")
    return replace(before, notes=survey.notes)


def _hopeless(task: Loaded, settings: Settings) -> str | None:
    """Say why a task cannot be searched on this machine, as far as its text tells."""
    why = suite_tasks.why_not(task, bool(settings.models))
    if why is None and not suite_tasks.on_device(settings) and (only := suite_tasks.only_theirs(task)) is not None:
        return f"{only}; {suite_tasks.ON_DEVICE}"
    return why


def digest(tasks: Sequence[Loaded], timed: bool = True) -> str:
    """Return a digest of all that tasks are made of: a search goes on with what it began with.

    Without what takes the suite's own times (`timed`), it is that of older versions.
    """
    texts = [[t.name, t.source, t.tests, t.files, t.thresholds, t.command] for t in tasks]
    if timed:
        texts = [[*text, t.timing, t.timed] for text, t in zip(texts, tasks, strict=True)]
    return hashlib.sha256(json.dumps(texts).encode()).hexdigest()[:16]


def _settings(given: Mapping[str, Any], config_file: str | None) -> Settings:
    """Return the settings of every search: what is usual gives way to a file, and that to the command line."""
    chosen = {k: v for k, v in given.items() if v is not None}
    said = config_files.load(config_file, chosen).model_fields_set
    usual = {k: v for k, v in USUAL.items() if k == "pool" or k not in said}
    return machine.resolve(config_files.load(config_file, {**usual, **chosen}))


def _frozen(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings as JSON gives them back."""
    return {k: list(v) if isinstance(v, tuple) else v for k, v in settings.items()}
