"""Runs are read where nothing may be written: whole, also what a killed process left, or with one line that says why."""

import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner

from archives.events import Event, Extended, Judged, Stopped
from archives.journal import FILE, Journal, JournalError, alone
from evo_kernel import runs, stopping
from evo_kernel.calls import FILE as CALLS
from evo_kernel.calls import Asking, Calls
from evo_kernel.cli import main
from evo_kernel.config import Settings
from evo_kernel.errors import RunError
from fitness.evaluation import Basis, Evaluation, Failure, Stage
from suites import Task

NOBODY = 65534  # a user with no rights: root may write everywhere
WRITER = (
    "import os, sys; from pathlib import Path; from archives.journal import Journal\n"
    "from archives.events import Extended\n"
    "j = Journal.append_to(Path(sys.argv[1])); j.append(Extended(3)); print('written', flush=True); input()"
)


@contextmanager
def unprivileged() -> Iterator[None]:
    """Have no rights of root, where this process has them."""
    root = os.geteuid() == 0
    if root:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)


@contextmanager
def stranger(folder: Path) -> Iterator[None]:
    """Be somebody who may read a run and not write it."""
    for file in folder.iterdir():
        file.chmod(0o444)
    folder.chmod(0o555)
    try:
        with unprivileged():
            yield
    finally:
        folder.chmod(0o755)
        for file in folder.iterdir():
            file.chmod(0o644)


@pytest.fixture
def place(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Give a folder that others can look into, and where temporary files may lie: pytest's own is closed to them."""
    with tempfile.TemporaryDirectory() as name:
        (Path(name) / "copies").mkdir()
        Path(name).chmod(0o755)
        (Path(name) / "copies").chmod(0o777)
        monkeypatch.setattr(tempfile, "tempdir", str(Path(name) / "copies"))
        yield Path(name)


@pytest.fixture
def run(place: Path, one_case_task: Task) -> Path:
    runs.begin(place / "run", Settings(target="mi300", basis="predicted"), one_case_task)
    return place / "run"


@contextmanager
def driven(folder: Path) -> Iterator[None]:
    """Have another process write an event and stay, then die: the event is in the log beside the journal alone."""
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == b"written\n"
        try:
            yield
        finally:
            writer.kill()
    assert (folder / f"{FILE}-wal").stat().st_size


def kill_a_writer(folder: Path) -> None:
    with driven(folder):
        pass


def last(folder: Path) -> Event:
    with Journal.read(folder) as journal:
        return list(journal.events())[-1]


def leave_it(folder: Path) -> None:
    with Journal.append_to(folder) as journal:
        journal.append(Extended(3))


def copy_of_killed(folder: Path) -> None:
    """Leave what a copy of a killed run has: its log, and not what SQLite shares between processes."""
    kill_a_writer(folder)
    (folder / f"{FILE}-shm").unlink()


def copy_without_a_lock(folder: Path) -> None:
    copy_of_killed(folder)
    (folder / "lock").unlink()


@pytest.mark.parametrize("leave", [leave_it, kill_a_writer, copy_of_killed, copy_without_a_lock])
def test_a_run_that_may_not_be_written_is_read_whole(run: Path, leave: Callable[[Path], None]) -> None:
    leave(run)
    before = sorted(file.name for file in run.iterdir())
    with stranger(run):
        assert last(run) == Extended(3)
        assert runs.read(run).search.generations == 3
        assert not list(Path(tempfile.gettempdir()).iterdir())
    assert sorted(file.name for file in run.iterdir()) == before


def test_a_run_that_another_user_drives_is_read_while_it_goes_on(run: Path) -> None:
    with driven(run), stranger(run):
        assert last(run) == Extended(3)


def test_a_run_is_not_copied_while_somebody_writes_it(run: Path) -> None:
    copy_of_killed(run)
    with alone(run), stranger(run):
        with pytest.raises(JournalError, match="another process writes it, and you may not write there"):
            Journal.read(run)


def test_what_stands_in_the_way_of_reading_is_said(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    copy_of_killed(run)
    with stranger(run), monkeypatch.context() as patch:
        with pytest.raises(JournalError, match=f"cannot write into {run}: "):
            Journal.append_to(run)
        patch.setattr(tempfile, "tempdir", str(run))
        with pytest.raises(JournalError, match=r"cannot copy .*journal.db to read it, as you may not write beside it"):
            Journal.read(run)
    (run / FILE).write_text("something else entirely, long enough to be read as a header" * 9)
    with stranger(run), pytest.raises(JournalError, match="is not a journal: file is not a database"):
        Journal.read(run)


@pytest.mark.parametrize("closed", ["run", f"run/{FILE}"])
def test_a_run_that_may_not_be_read_is_refused_with_the_reason(run: Path, closed: str) -> None:
    mode = (run.parent / closed).stat().st_mode
    (run.parent / closed).chmod(0)
    with unprivileged(), pytest.raises(JournalError, match=r"cannot read .*: Permission denied$"):
        Journal.read(run)
    (run.parent / closed).chmod(mode)


def test_the_commands_that_read_a_run_do_so_where_nothing_may_be_written(run: Path) -> None:
    failed = Evaluation("mi300", Basis.PREDICTED, "process", Failure(Stage.COMPILE, "kind", "message"))
    with Journal.append_to(run) as journal:
        journal.append(Judged(0, failed))
        journal.append(Stopped(stopping.WALL_TIME))
    with stranger(run):
        shown = CliRunner().invoke(main, ["show", str(run)])
        watched = CliRunner().invoke(main, ["watch", str(run)])
        exported = CliRunner().invoke(main, ["export", str(run)])
    assert (shown.exit_code, shown.output.splitlines()[-1]) == (0, "no program has passed yet")
    assert (watched.exit_code, watched.output.splitlines()[-1]) == (0, "ended: the wall time is spent")
    assert exported.exit_code == 1
    assert exported.output.strip().endswith(
        f"no program of {run} has passed every gate yet: there is nothing to export"
    )


def test_what_was_said_to_models_is_read_there_too(run: Path, place: Path) -> None:
    calls = Calls(run)
    calls.ask(Asking(1, "optimize", "m", ()))
    calls.close()
    with stranger(run):
        calls = Calls(run, reading=True)
        assert [asking.number for asking in calls.requests()] == [1]
        calls.close()
        with pytest.raises(RunError, match="cannot keep answers"):
            Calls(run)
    shutil.copytree(run, place / "copy")
    with sqlite3.connect(place / "copy" / CALLS) as db:
        db.execute("PRAGMA user_version=99")
    db.close()
    with stranger(place / "copy"), pytest.raises(RunError, match="newer evo-kernel"):
        Calls(place / "copy", reading=True)


def test_a_file_of_calls_whose_maker_was_killed_at_once_is_read_as_empty(place: Path) -> None:
    (place / CALLS).touch()
    calls = Calls(place, reading=True)
    assert calls.requests() == []
    calls.close()
    assert (place / CALLS).stat().st_size == 0
