"""One SQLite file per run: events in order, written by one process, readable by anyone while the run goes on.

Commits are synced by the operating system, not one by one: a killed process loses nothing, a power cut may lose the
last second, and neither leaves half an event. Clock times stand in columns and a table of their own: the payloads of
two runs with the same seed are equal byte for byte.
"""

import fcntl
import os
import sqlite3
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Self

from archives import events, reading
from archives.events import Event

FILE = "journal.db"
SCHEMA = 1
LOOKS, BETWEEN = 4, 0.05  # how often a lock is asked for, and seconds from one time to the next
_APPLICATION = 0x45564F4B  # "EVOK": tells a journal from any other SQLite file

_TABLE = """
CREATE TABLE events (
    seq INTEGER PRIMARY KEY,
    kind TEXT NOT NULL,
    payload BLOB NOT NULL,
    at REAL NOT NULL,       -- seconds since 1970
    seconds REAL NOT NULL   -- what it cost: proposing or judging
)
"""
_CLOCK = "CREATE TABLE IF NOT EXISTS clock (seconds REAL NOT NULL)"  # one row: wall time that the run was driven


class JournalError(Exception):
    """A journal that cannot be read or written: what came, and what to do."""


class Journal:
    """A run's events. Open it with `create`, `append_to` or `read`."""

    def __init__(self, folder: Path, connection: sqlite3.Connection, lock: IO[str] | None) -> None:
        self.folder = folder
        self._connection, self._lock = connection, lock

    @classmethod
    def create(cls, folder: Path, first: Iterable[tuple[Event, float]] = ()) -> Self:
        """Begin a journal with its first events, each with its cost; it appears whole or not at all."""
        if (folder / FILE).exists():
            raise JournalError(f"{folder} already holds a run; resume it, or give another folder")
        try:
            folder.mkdir(parents=True, exist_ok=True)
            if not os.access(folder, os.W_OK):
                raise PermissionError(f"cannot write into {folder}")
        except OSError as error:
            raise JournalError(f"cannot make the run folder {folder}: {error}") from error
        lock = _take_lock(folder)
        try:
            _write_new(folder, first)
        except BaseException:
            _give_up(lock)
            raise
        return cls(folder, _connect(folder / FILE, "rw"), lock)

    @classmethod
    def append_to(cls, folder: Path) -> Self:
        """Open an existing journal as its only writer."""
        _look(folder).close()
        lock = _take_lock(folder)
        try:
            return cls(folder, _connect(folder / FILE, "rw"), lock)
        except JournalError:
            _give_up(lock)
            raise

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Open an existing journal for reading, also while its run goes on, and where nothing may be written."""
        return cls(folder, _look(folder), None)

    def append(self, event: Event, seconds: float = 0.0) -> None:
        """Write one event; when this returns, killing the process cannot lose it."""
        with _translated(self.folder):
            _insert(self._connection, event, seconds)

    def spend(self, seconds: float) -> None:
        """Write down for how long the run has been driven, in all its sessions together."""
        with _translated(self.folder):
            self._connection.execute(_CLOCK)
            if self._connection.execute("UPDATE clock SET seconds = ?", (seconds,)).rowcount == 0:
                self._connection.execute("INSERT INTO clock VALUES (?)", (seconds,))

    @property
    def spent(self) -> float:
        """Seconds of wall time that the run was driven, but for the last before a kill; 0 in old journals."""
        with _translated(self.folder):
            known = self._connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'clock'").fetchone()
            row = self._connection.execute("SELECT seconds FROM clock").fetchone() if known else None
        return 0.0 if row is None else float(row[0])

    def events(self, after: int = 0) -> Iterator[Event]:
        """Yield the events from a position on, in order."""
        for _, event, _, _ in self.rows(after):
            yield event

    def rows(self, after: int = 0) -> Iterator[tuple[int, Event, float, float]]:
        """Yield (position, event, time, cost in seconds) from a position on."""
        with _translated(self.folder):
            query = "SELECT seq, kind, payload, at, seconds FROM events WHERE seq > ? ORDER BY seq"
            for seq, kind, payload, at, seconds in self._connection.execute(query, (after,)):
                after += 1
                if seq != after:
                    raise JournalError(f"{self.folder / FILE} lacks event {after}: somebody has changed it")
                try:
                    yield seq, events.decode(kind, payload), at, seconds
                except events.EventError as error:
                    raise JournalError(f"{self.folder / FILE}, event {seq}: {error}") from error

    def last(self, kind: type[Event]) -> Event | None:
        """Return the newest event of a kind, without reading the others."""
        with _translated(self.folder):
            query = "SELECT kind, payload FROM events WHERE kind = ? ORDER BY seq DESC LIMIT 1"
            row = self._connection.execute(query, (kind.__name__.lower(),)).fetchone()
        try:
            return None if row is None else events.decode(*row)
        except events.EventError as error:
            raise JournalError(f"{self.folder / FILE}: {error}") from error

    def close(self) -> None:
        """Close the file and give up the lock."""
        self._connection.close()
        if self._lock is not None:
            _give_up(self._lock)
            self._lock = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _translated:  # noqa: N801  reads as a statement
    """Turns SQLite's errors into one clear line."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if not isinstance(
            error, (sqlite3.Error, UnicodeDecodeError)
        ):  # the latter: its own words quote what is damaged
            return
        text = str(error)
        if "full" in text or "disk I/O" in text:
            advice = "free some space, then resume: all that was told before is safe"
            raise JournalError(f"cannot write to {self._folder}: {text}; {advice}") from error
        raise JournalError(f"{self._folder / FILE}: {text}") from error


def _write_new(folder: Path, first: Iterable[tuple[Event, float]]) -> None:
    """Write a journal under another name, then give it its own: a kill in between leaves no half-made run."""
    partial = folder / f"{FILE}.partial"
    partial.unlink(missing_ok=True)
    connection = _connect(partial, "rwc")
    try:
        with _translated(folder):
            connection.execute("BEGIN")
            connection.execute(f"PRAGMA application_id={_APPLICATION}")
            connection.execute(f"PRAGMA user_version={SCHEMA}")
            connection.execute(_TABLE)
            for event, seconds in first:
                _insert(connection, event, seconds)
            connection.execute("COMMIT")
    finally:
        connection.close()
    partial.replace(folder / FILE)


def _insert(connection: sqlite3.Connection, event: Event, seconds: float) -> None:
    kind, payload = events.encode(event)
    connection.execute(
        "INSERT INTO events (kind, payload, at, seconds) VALUES (?, ?, ?, ?)", (kind, payload, time.time(), seconds)
    )


def _connect(path: Path, mode: str) -> sqlite3.Connection:
    """Open the file in SQLite's own transactions of one statement each."""
    try:
        connection = sqlite3.connect(
            f"{path.resolve().as_uri()}?mode={mode}",
            uri=True,
            isolation_level=None,
            timeout=10,
            check_same_thread=False,
        )
        if mode == "rw":
            connection.execute("PRAGMA journal_mode=WAL")  # where the file system cannot, SQLite keeps its own way
            connection.execute("PRAGMA synchronous=NORMAL")
        return connection
    except sqlite3.Error as error:
        raise JournalError(f"cannot open {path}: {error}") from error


def _look(folder: Path) -> sqlite3.Connection:
    """Open a run's file for reading; say clearly when a folder is no run, or one of a newer program."""
    _check(folder)
    try:
        connection = reading.connect(folder / FILE)
    except reading.Unreadable as error:
        raise JournalError(str(error)) from error
    except sqlite3.OperationalError as error:
        raise JournalError(f"cannot read {folder / FILE}: {error}") from error
    except sqlite3.Error as error:
        raise JournalError(f"{folder / FILE} is not a journal: {error}") from error
    try:
        _check_format(connection, folder)
    except BaseException:
        connection.close()
        raise
    return connection


def _check(folder: Path) -> None:
    """Say clearly when a folder holds no run, or may not be looked into."""
    try:
        found, held = folder.is_dir(), (folder / FILE).is_file()
    except PermissionError as error:
        raise JournalError(f"cannot read {folder}: {error.strerror}") from error
    if not found:
        raise JournalError(f"no run folder at {folder}")
    if not held:
        raise JournalError(f"{folder} is not a run folder: it has no {FILE}")


def _check_format(connection: sqlite3.Connection, folder: Path) -> None:
    """Refuse another program's file, and one of a newer evo-kernel."""
    with _translated(folder):
        application = connection.execute("PRAGMA application_id").fetchone()[0]
        version = connection.execute("PRAGMA user_version").fetchone()[0]
    if application != _APPLICATION:
        raise JournalError(f"{folder / FILE} is not a journal of evo-kernel")
    if version > SCHEMA:
        raise JournalError(
            f"{folder / FILE} was written by a newer evo-kernel (format {version}; this one reads up to {SCHEMA}): "
            "upgrade evo-kernel to open it"
        )


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Be the only process that works below a folder; JournalError says which other one does."""
    lock = _take_lock(folder)
    try:
        yield
    finally:
        _give_up(lock)


def _take_lock(folder: Path) -> IO[str]:
    """Make this process the run's only writer; the lock dies with the process."""
    try:
        lock = open(folder / reading.LOCK, "a+", encoding="utf-8")  # noqa: SIM115  held for the life of the run
    except OSError as error:
        raise JournalError(f"cannot write into {folder}: {error.strerror}") from error
    if not _locked(lock):
        lock.seek(0)
        holder = lock.read().strip() or "unknown"
        lock.close()
        raise JournalError(f"{folder} is in use by another process (pid {holder}): stop it first")
    lock.truncate(0)
    lock.write(str(os.getpid()))
    lock.flush()
    return lock


def _locked(lock: IO[str]) -> bool:
    """Take a lock for oneself; who only asks whether a run is driven holds it for an instant."""
    for _ in range(LOOKS):
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except OSError:
            time.sleep(BETWEEN)
    return False


def _give_up(lock: IO[str]) -> None:
    """Let others write the run."""
    fcntl.flock(lock, fcntl.LOCK_UN)  # a child that another thread is starting may still hold a copy of the file
    lock.close()
