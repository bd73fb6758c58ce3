"""Drives a run for a person: shows it, exports the best at its end, says what to type next."""

import contextlib
import json
import logging
import shutil
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from evo_kernel.cli_options import say

logger = logging.getLogger(__name__)

NAME = "evo-kernel"


def drive(folder: Path, settings: Any, as_json: bool, quiet: bool) -> None:
    """Run to the end, export the best, and say what to type next; an interrupt says how to resume."""
    from evo_kernel import api, display, report, runs

    shown, notes = display.make(quiet), dict[str, None]()

    def update(progress: Any) -> None:
        shown.update(progress)
        if progress.done:
            shown.close()  # what is said after it must not be drawn over
        notes.update(dict.fromkeys(progress.notes))

    try:
        with terminated_like_interrupted():
            api.drive(folder, settings, update, logger.info if quiet else say)
            shown.close()
            best = api.Run(folder).export()
    except KeyboardInterrupt:
        shown.close()
        click.echo(f"\nstopped; nothing is lost. Go on with:\n  {as_typed()} resume {folder}", err=True)
        sys.exit(130)
    finally:
        shown.close()
    for note in notes:
        say(f"note: {note}")
    state = runs.read(folder)
    if as_json:
        more = {"run": str(folder), "exported": [exported(e) for e in best], "notes": list(notes)}
        click.echo(json.dumps(report.summary(state) | more, indent=2))
        return
    click.echo(report.text(state))
    tell_exported(best)
    click.echo(f"next: {as_typed()} resume {folder} --generations {2 * state.search.generations}")


def as_typed() -> str:
    """Return what calls this program again: its name, or the path that was typed where PATH does not lead to it."""
    typed = Path(sys.argv[0])
    found = shutil.which(NAME)
    known = typed.name != NAME or (found is not None and Path(found).resolve() == typed.resolve())
    return NAME if known else str(typed)


@contextlib.contextmanager
def terminated_like_interrupted() -> Iterator[None]:
    """Make SIGTERM end a run as Ctrl-C does."""

    def interrupt(number: int, frame: Any) -> None:
        raise KeyboardInterrupt

    previous = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)


def exported(one: Any) -> dict[str, Any]:
    """Return one exported program as plain data."""
    from evo_kernel.export import HELD_OUT, launch_plain

    failure = None if one.failure is None else {"case": one.failure.case, "message": one.failure.message}
    return {
        "id": one.candidate,
        "path": None if one.path is None else str(one.path),
        "held_out_failure": failure if one.gate == HELD_OUT else None,
        "launch_failure": None if one.gate == HELD_OUT else failure,
        "launch": launch_plain(one.launch),
    }


def tell_exported(found: list[Any]) -> None:
    """Say what was written, and what was not and why."""
    for one in found:
        if one.path is not None:
            click.echo(f"exported: {one.path}")
        else:
            click.echo(f"not exported: {one.candidate[:8]} fails {one.gate}: {one.failure.message}", err=True)
