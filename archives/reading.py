"""Opens a run's SQLite files to read them, also where nothing may be written: another user's run, a read-only disk.

SQLite needs to write beside a file that is read while others write it. Where it may not, and nobody writes the run, the
file is read as one that never changes; what a killed process left beside it is not folded back yet, so all of it is
copied to a temporary folder and read there.
"""

import contextlib
import fcntl
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

LOCK = "lock"  # held by a run's only writer
BESIDE = ("-wal", "-journal")  # what SQLite has written and not folded into the file, by the end of its name
REFUSED = (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY)  # what it says where it may not write


class Unreadable(Exception):
    """A file that this user cannot read, in one line."""


def connect(path: Path) -> sqlite3.Connection:
    """Open a file of a run for reading, in transactions of one statement each; SQLite's errors are the caller's."""
    try:
        path.open("rb").close()  # SQLite would not say why it cannot
    except OSError as error:
        raise Unreadable(f"cannot read {path}: {error.strerror}") from error
    try:
        return _open(path, "mode=ro")
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode & 0xFF not in REFUSED:
            raise
    with _unwritten(path.parent):
        return _undisturbed(path)


class _Copied(sqlite3.Connection):
    """A connection to a copy, which goes when it is closed."""

    folder: "TemporaryDirectory[str] | None" = None

    def close(self) -> None:
        super().close()
        if self.folder is not None:
            self.folder.cleanup()


def _open(path: Path, how: str, kind: type[sqlite3.Connection] = sqlite3.Connection) -> sqlite3.Connection:
    """Open a file and look into it: what is wrong with it comes out here."""
    address = f"{path.resolve().as_uri()}?{how}"
    connection = sqlite3.connect(
        address, uri=True, isolation_level=None, timeout=10, check_same_thread=False, factory=kind
    )
    try:
        connection.execute("PRAGMA user_version")
    except BaseException:
        connection.close()
        raise
    return connection


def _undisturbed(path: Path) -> sqlite3.Connection:
    """Open a file that nobody writes, and leave no trace beside it."""
    beside = [path.with_name(path.name + end) for end in BESIDE]
    left = [file for file in beside if file.exists() and file.stat().st_size]
    if not left:
        return _open(path, "mode=ro&immutable=1")
    with contextlib.ExitStack() as unless:
        try:
            folder = TemporaryDirectory(prefix="evo-kernel-")
            unless.callback(folder.cleanup)
            for file in (path, *left):
                shutil.copyfile(file, Path(folder.name) / file.name)
        except OSError as error:
            raise Unreadable(f"cannot copy {path} to read it, as you may not write beside it: {error}") from error
        copied = _open(Path(folder.name) / path.name, "mode=rw", _Copied)
        assert isinstance(copied, _Copied)
        copied.folder = folder
        unless.pop_all()
        return copied


@contextlib.contextmanager
def _unwritten(folder: Path) -> Iterator[None]:
    """Keep writers away for as long as a file is opened; Unreadable where one is there."""
    with contextlib.ExitStack() as opened:
        try:
            lock = opened.enter_context(open(folder / LOCK, "rb"))
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except FileNotFoundError:
            pass  # nobody ever wrote it here: it is a copy
        except BlockingIOError as error:
            raise Unreadable(
                f"{folder} cannot be read now: another process writes it, and you may not write there"
            ) from error
        except OSError as error:
            raise Unreadable(f"cannot tell whether somebody writes {folder}: {error.strerror}") from error
        yield
