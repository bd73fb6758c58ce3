"""Lessons across tasks and runs: short rules with how often they were confirmed, forgotten when long unconfirmed."""

import contextlib
import fcntl
import json
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from operators.llm.plain import plain

LIFE = 90 * 86400.0  # seconds that one confirmation keeps a lesson; each further one adds as much
KEPT = 500
_WORDS = re.compile(r"\W+")


class LessonsError(Exception):
    """A file of lessons that cannot be read or written."""


@dataclass(frozen=True, slots=True)
class Lesson:
    """What to do or to leave alone on a kind of chip; `last` is when it was last confirmed, in seconds since 1970."""

    text: str
    backend: str
    count: int = 1
    last: float = 0.0

    @property
    def key(self) -> tuple[str, str]:
        """What makes two lessons one: their words, whatever case and punctuation."""
        return self.backend, _WORDS.sub(" ", self.text.lower()).strip()

    def alive(self, now: float) -> bool:
        """Whether it has been confirmed often enough, lately enough."""
        return now - self.last <= LIFE * self.count


def confirm(lessons: Iterable[Lesson], new: Iterable[Lesson], now: float) -> tuple[Lesson, ...]:
    """Add lessons to others: equal ones count up, dead ones go, the most confirmed stay."""
    found = {lesson.key: lesson for lesson in lessons if lesson.alive(now)}
    for lesson in new:
        old = found.get(lesson.key)
        found[lesson.key] = replace(lesson, last=now) if old is None else replace(old, count=old.count + 1, last=now)
    ranked = sorted(found.values(), key=lambda lesson: (-lesson.count, -lesson.last, lesson.key))
    return tuple(ranked[:KEPT])


def chosen(lessons: Sequence[Lesson], backend: str, now: float, count: int) -> tuple[Lesson, ...]:
    """Return the most confirmed living lessons for a backend."""
    living = [lesson for lesson in lessons if lesson.backend == backend and lesson.alive(now)]
    return tuple(sorted(living, key=lambda lesson: (-lesson.count, -lesson.last, lesson.key))[:count])


def read(file: Path) -> tuple[Lesson, ...]:
    """Read a file of lessons; one that is not there has none."""
    try:
        rows = json.loads(file.read_text(encoding="utf-8"))
        return tuple(Lesson(plain(str(r["text"])), str(r["backend"]), int(r["count"]), float(r["last"])) for r in rows)
    except FileNotFoundError:
        return ()
    except (OSError, ValueError, KeyError, TypeError, ArithmeticError, RecursionError) as error:
        raise LessonsError(f"{file} is no file of lessons ({error}): move it away or give another") from error


def add(file: Path, new: Sequence[Lesson], now: float) -> None:
    """Add lessons to a file, one process at a time: searches may share it."""
    if new:
        with _alone(file):
            write(file, confirm(read(file), new, now))


def require(file: Path) -> None:
    """Refuse a file that lessons cannot be read from or written to, before any is learnt."""
    read(file)
    with _alone(file):
        probe = file.with_name(f".{file.name}.{os.getpid()}")
        try:
            probe.touch()
            probe.unlink()
        except OSError as error:
            raise LessonsError(f"cannot write {file}: {error.strerror}") from error


@contextlib.contextmanager
def _alone(file: Path) -> Iterator[None]:
    """Hold the lock beside a file: the file itself is replaced by each writer."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        lock = file.with_name(f".{file.name}.lock").open("w")
    except OSError as error:
        raise LessonsError(f"cannot write {file}: {error.strerror}") from error
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def write(file: Path, lessons: Iterable[Lesson]) -> None:
    """Replace a file of lessons; it is never seen half written."""
    rows = [{"text": e.text, "backend": e.backend, "count": e.count, "last": e.last} for e in lessons]
    partial = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        partial.write_text(json.dumps(rows, indent=1), encoding="utf-8")
        partial.replace(file)
    except OSError as error:
        raise LessonsError(f"cannot write {file}: {error.strerror}") from error
