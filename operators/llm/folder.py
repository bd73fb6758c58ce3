"""Reads and writes files in a folder that others share: whole, of bounded size, and through no link out of it."""

import contextlib
import os
import stat
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

LARGEST = 8 << 20  # bytes of a file that is read


@dataclass(frozen=True, slots=True)
class Sighting:
    """How a file looked and since when, by a clock of this process: time stamps may be anything."""

    state: tuple[int, int, int] | None = None
    since: float = 0.0

    def rested(self, seconds: float) -> bool:
        """Whether there is something in the file that has not changed for so long."""
        return self.state is not None and self.state[1] > 0 and time.monotonic() - self.since >= seconds


def sighted(path: Path, before: Sighting) -> Sighting:
    """Look at a file again."""
    try:
        found = path.lstat()
        if stat.S_ISLNK(found.st_mode):
            found = path.stat()
    except OSError:
        return Sighting()
    state = (found.st_ino, found.st_size, found.st_mtime_ns)
    return before if state == before.state else Sighting(state, time.monotonic())


def read(path: Path, most: int = LARGEST, cut: bool = False) -> str:
    """Read a file of its folder; a ValueError says what is wrong with it. Of a longer one `cut` takes the beginning."""
    real = Path(os.path.realpath(path, strict=True))
    if not real.is_relative_to(path.parent.resolve()):
        raise ValueError("is a link to a place outside its folder: put the text itself there")
    descriptor = os.open(real, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)  # a pipe must not hold everything up
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise ValueError("is no plain file: put the text itself there")
        with open(descriptor, "rb", closefd=False) as file:
            raw = file.read(most + 1)
    finally:
        os.close(descriptor)
    if len(raw) > most and not cut:
        raise ValueError(f"has more than {most >> 20} MiB: write a shorter one")
    try:
        return raw[:most].decode(errors="ignore" if cut else "strict")
    except UnicodeDecodeError as error:
        raise ValueError("holds bytes that are no UTF-8: write it again as UTF-8") from error


@contextlib.contextmanager
def draft(folder: Path, text: str) -> Iterator[Path]:
    """Write a text under a name that nobody reads, and take the name away afterwards."""
    path = folder / f".draft-{uuid.uuid4().hex}"
    path.write_text(text, encoding="utf-8")
    try:
        yield path
    finally:
        path.unlink(missing_ok=True)
