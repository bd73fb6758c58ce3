"""What was said to models and what they answered, in a file beside the journal: written before it is used.

The journal says what became of a request; this file holds what was paid for on the way there. A request whose events
are not in the journal yet is open: after a kill its stored prompts are asked again where no answer came, and its
stored answers are used where one did. An attempt that was out when the process died counts as all that it had reserved.
"""

import contextlib
import sqlite3
import threading
import time
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgpack

from archives.reading import Unreadable, connect
from evo_kernel.errors import RunError
from operators.llm.budget import Amount
from operators.llm.model import Prompt, Reply, Usage

FILE = "calls.db"
SCHEMA = 1
_TABLES = """
CREATE TABLE IF NOT EXISTS requests (
    number INTEGER PRIMARY KEY, operator TEXT NOT NULL, model TEXT NOT NULL, parents BLOB NOT NULL,
    closed INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS turns (
    number INTEGER NOT NULL, turn INTEGER NOT NULL, system TEXT NOT NULL, prompt TEXT NOT NULL, reply TEXT, usage BLOB,
    asked REAL NOT NULL, answered REAL, PRIMARY KEY (number, turn)
);
CREATE TABLE IF NOT EXISTS attempts (
    id INTEGER PRIMARY KEY, number INTEGER NOT NULL, model TEXT NOT NULL, tokens INTEGER NOT NULL,
    pico INTEGER NOT NULL, calls INTEGER NOT NULL, settled INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS run (only INTEGER PRIMARY KEY CHECK (only = 1), id TEXT NOT NULL);
"""


@dataclass(frozen=True, slots=True)
class Asking:
    """A request to a model: which operator, of whom, with which parents (ids)."""

    number: int
    operator: str
    model: str
    parents: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Turn:
    """One prompt of a request, with its reply if there is one."""

    prompt: Prompt
    reply: str | None
    usage: Usage | None
    seconds: float | None


class Calls:
    """The file of one run. Any thread may use it; every write is on disk when it returns; `reading` writes nothing."""

    def __init__(self, folder: Path, reading: bool = False) -> None:
        self._path, self._lock = folder / FILE, threading.RLock()
        try:
            self._db = connect(self._path) if reading else self._connect()
            version = self._db.execute("PRAGMA user_version").fetchone()[0]
            if version > SCHEMA:
                raise RunError(f"{self._path} was written by a newer evo-kernel: upgrade evo-kernel to open it")
            if reading and version:
                return
            if reading:  # whoever made it was killed before it could ask anybody
                self._db.close()
                self._db = sqlite3.connect(":memory:", isolation_level=None)
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=FULL")  # answers were paid for: a power cut must not lose them
            self._db.executescript(f"{_TABLES}\nPRAGMA user_version={SCHEMA};")
            self._db.execute("INSERT OR IGNORE INTO run VALUES (1, ?)", (uuid.uuid4().hex[:12],))
            self.run = str(self._db.execute("SELECT id FROM run").fetchone()[0])
        except sqlite3.Error as error:
            raise RunError(f"cannot {'read' if reading else 'keep'} answers in {self._path}: {error}") from error
        except Unreadable as error:
            raise RunError(str(error)) from error

    def _connect(self) -> sqlite3.Connection:
        return sqlite3.connect(self._path, isolation_level=None, timeout=10, check_same_thread=False)

    def ask(self, asking: Asking) -> None:
        """Note a request before anything is said of it; one that is there already stays as it is."""
        row = (asking.number, asking.operator, asking.model, msgpack.packb(asking.parents), 0)
        self._write("INSERT OR IGNORE INTO requests VALUES (?, ?, ?, ?, ?)", row)

    def say(self, number: int, turn: int, prompt: Prompt) -> None:
        """Note a prompt before it is sent."""
        row = (number, turn, prompt.system, prompt.text, time.time())
        self._write("INSERT INTO turns (number, turn, system, prompt, asked) VALUES (?, ?, ?, ?, ?)", row)

    def hear(self, number: int, turn: int, reply: str, usage: Usage | None) -> None:
        """Note an answer before it is used."""
        counted = None if usage is None else msgpack.packb([getattr(usage, n) for n in usage.__slots__])
        row = (reply, counted, time.time(), number, turn)
        self._write("UPDATE turns SET reply = ?, usage = ?, answered = ? WHERE number = ? AND turn = ?", row)

    @contextlib.contextmanager
    def together(self) -> Iterator[None]:
        """Let what is written inside be on disk as a whole or not at all."""
        with self._lock:
            self._write("BEGIN IMMEDIATE", ())
            try:
                yield
                self._write("COMMIT", ())
            except BaseException:
                self._db.rollback()
                raise

    def close_request(self, number: int) -> None:
        """Note that the journal knows what became of a request."""
        self._write("UPDATE requests SET closed = 1 WHERE number = ?", (number,))

    def account(self, number: int, model: str, turn: int) -> "RequestAccount":
        """Return where the attempts at one turn of a request are written down."""
        return RequestAccount(self, number, model, turn)

    def open_requests(self) -> list[Asking]:
        """Return requests that the journal may not know the end of, in order."""
        rows = self._read("SELECT number, operator, model, parents FROM requests WHERE closed = 0 ORDER BY number")
        return [Asking(n, o, m, tuple(msgpack.unpackb(p))) for n, o, m, p in rows]

    def requests(self) -> list[Asking]:
        """Return all requests, in order."""
        rows = self._read("SELECT number, operator, model, parents FROM requests ORDER BY number")
        return [Asking(n, o, m, tuple(msgpack.unpackb(p))) for n, o, m, p in rows]

    def turns(self, number: int) -> list[Turn]:
        """Return what was said and heard on a request, in order."""
        query = "SELECT system, prompt, reply, usage, asked, answered FROM turns WHERE number = ? ORDER BY turn"
        return [
            Turn(
                Prompt(s, p),
                reply,
                None if u is None else Usage(*msgpack.unpackb(u)),
                None if at is None else at - since,
            )
            for s, p, reply, u, since, at in self._read(query, (number,))
        ]

    def used(self) -> dict[tuple[str, str], Amount]:
        """Return what every operator used of every model; attempts that were out count as they were reserved."""
        query = """SELECT r.operator, a.model, SUM(a.tokens), SUM(a.pico), SUM(a.calls) FROM attempts a
                   JOIN requests r USING (number) GROUP BY r.operator, a.model ORDER BY r.operator, a.model"""
        return {(operator, model): Amount(*amounts) for operator, model, *amounts in self._read(query)}

    def spent(self) -> dict[str, Amount]:
        """Return what was used of each model."""
        found: dict[str, Amount] = {}
        for (_, model), amount in self.used().items():
            found[model] = found.get(model, Amount()) + amount
        return found

    def cost(self, number: int) -> Amount:
        """Return what one request has used."""
        query = "SELECT SUM(tokens), SUM(pico), SUM(calls) FROM attempts WHERE number = ?"
        return next((Amount(*(v or 0 for v in row)) for row in self._read(query, (number,))), Amount())

    def take(self, folder: Path, numbers: Mapping[int, int]) -> None:
        """Copy the requests of another run's file that have new numbers here, as closed, with all they used."""
        other = Calls(folder, reading=True)
        try:
            for (old, *request), new in ((r, numbers.get(r[0])) for r in other._read("SELECT * FROM requests")):
                if new is None:
                    continue
                self._write("INSERT INTO requests VALUES (?, ?, ?, ?, 1)", (new, *request[:3]))
                for _, *turn in other._read("SELECT * FROM turns WHERE number = ?", (old,)):
                    self._write("INSERT INTO turns VALUES (?, ?, ?, ?, ?, ?, ?, ?)", (new, *turn))
                for _, _, *used in other._read("SELECT * FROM attempts WHERE number = ?", (old,)):
                    query = (
                        "INSERT INTO attempts (number, model, tokens, pico, calls, settled) VALUES (?, ?, ?, ?, ?, ?)"
                    )
                    self._write(query, (new, *used))
        finally:
            other.close()

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._db.close()

    def _write(self, query: str, row: tuple[object, ...]) -> int:
        try:
            with self._lock:
                return self._db.execute(query, row).lastrowid or 0
        except sqlite3.Error as error:
            raise RunError(f"cannot write to {self._path}: {error}; free some space, then resume") from error

    def _read(self, query: str, row: tuple[object, ...] = ()) -> Iterator[tuple[Any, ...]]:
        try:
            with self._lock:
                return iter(self._db.execute(query, row).fetchall())
        except sqlite3.Error as error:
            raise RunError(f"cannot read {self._path}: {error}") from error


class RequestAccount:
    """Writes the attempts at one turn of a request down."""

    def __init__(self, calls: Calls, number: int, model: str, turn: int) -> None:
        self._calls, self._number, self._model, self._turn = calls, number, model, turn

    def reserve(self, amount: Amount) -> int:
        """Write down what an attempt may use, before it is made."""
        row = (self._number, self._model, amount.tokens, amount.dollars, amount.calls)
        return self._calls._write(
            "INSERT INTO attempts (number, model, tokens, pico, calls, settled) VALUES (?, ?, ?, ?, ?, 0)", row
        )

    def settle(self, attempt: int, used: Amount, reply: Reply | None) -> None:
        """Write down at once what it used and what was answered: a kill between would lose what was paid for."""
        row = (used.tokens, used.dollars, used.calls, attempt)
        with self._calls.together():
            if reply is not None:
                self._calls.hear(self._number, self._turn, reply.text, reply.usage)
            self._calls._write("UPDATE attempts SET tokens = ?, pico = ?, calls = ?, settled = 1 WHERE id = ?", row)
