"""Checks a task in a child with a time limit: the file's own code may end its process, or never end."""

import contextlib

from fitness.child import Limits
from fitness.jail import Jail
from fitness.lint import Finding
from suites import Task, TaskError
from suites.task import unpack

SECONDS = 300.0  # to read the file and to run its functions on all trials


def check(text: str, name: str, origin: str, seed: int = 0, jail: Jail | None = None
          ) -> tuple[Task, tuple[Finding, ...]]:  # fmt: skip
    """Read a task and lint it; TaskError says what its file does instead, and where it was."""
    payload = {"text": text, "name": name, "origin": origin, "seed": seed}
    with contextlib.ExitStack() as opened:
        own = jail or opened.enter_context(contextlib.closing(Jail("compiled")))
        outcome = own.run("lint", payload, Limits(seconds=SECONDS))
    if outcome.kind == "task":
        raise TaskError(outcome.message)
    if outcome.kind is not None:
        printed = f"; it printed: {outcome.log.strip().splitlines()[-1]}" if outcome.log.strip() else ""
        stage = outcome.stage or "before it was read"
        raise TaskError(f"task file {origin}, {stage}: {outcome.message}{printed}")
    plain, findings = outcome.value
    return unpack(plain), tuple(Finding(*f) for f in findings)
