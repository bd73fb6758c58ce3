"""Turns of several judges on one device: a judge takes it alone for each sequence of filling, running and comparing.

Judges of one search, or of several searches of one machine, wait for each other by locks on two files, which the
kernel frees when a process ends. Nobody's clock runs while somebody else's work is on the device. What reads no clock
might share it, but a device that goes to and fro between processes takes longer for all of them together than for one
after another.
"""

import fcntl
import logging
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

logger = logging.getLogger(__name__)

PAUSE = 0.0002  # seconds between two tries: a turn lasts some milliseconds
LONG = 60.0  # seconds after which the person is told what is waited for


class Turns:
    """One judge's turns on one device; used by one thread."""

    def __init__(self, device: str, folder: Path | None = None) -> None:
        base = (folder or Path(tempfile.gettempdir())) / f"evo-kernel-gpu-{device}"
        self._paths = [base.with_name(base.name + end) for end in (".gate", ".lock")]
        self._files: list[int] | None = None  # opened for the first turn; empty where they cannot be
        self._depth, self._alone = 0, False  # turns within turns; whether the outermost is one alone

    def together(self) -> AbstractContextManager[None]:
        """Work on the device beside others who do not read the clock; within any turn this is nothing new."""
        return self._within(fcntl.LOCK_SH)

    def alone(self) -> AbstractContextManager[None]:
        """Work on the device with nobody beside; within a turn alone this is nothing new."""
        if self._depth and not self._alone:
            raise RuntimeError("a judge that works together with others cannot wait until it is alone")
        return self._within(fcntl.LOCK_EX)

    @contextmanager
    def _within(self, kind: int) -> Iterator[None]:
        """Hold the device until the outermost turn ends."""
        if not self._depth:
            self._take(kind)
            self._alone = kind == fcntl.LOCK_EX
        self._depth += 1
        try:
            yield
        finally:
            self._depth -= 1
            if not self._depth:
                self._free()

    def close(self) -> None:
        """Give the files back; the next turn opens them again."""
        for descriptor in self._files or ():
            os.close(descriptor)
        self._files = None

    def _take(self, kind: int) -> None:
        """Wait at the gate, so that those who come later cannot pass, then for the device."""
        if self._files is None:
            self._files = _opened(self._paths)
        if self._files:
            gate, lock = self._files
            _wait(gate, fcntl.LOCK_EX)
            try:
                _wait(lock, kind)
            finally:
                fcntl.flock(gate, fcntl.LOCK_UN)

    def _free(self) -> None:
        if self._files:
            fcntl.flock(self._files[1], fcntl.LOCK_UN)


def _wait(descriptor: int, kind: int) -> None:
    """Take a lock, and say so when that takes long."""
    began, told = time.monotonic(), False
    while True:
        try:
            fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            time.sleep(PAUSE)
        if not told and time.monotonic() - began > LONG:
            told = True
            logger.warning("another judge has had the GPU for %.0f s; is its process stopped?", LONG)


def _opened(paths: list[Path]) -> list[int]:
    """Open files that all users of a machine share, and follow no link; none, and a warning, where that cannot be."""
    files: list[int] = []
    try:
        for path in paths:
            try:
                files.append(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC))
            except FileNotFoundError:
                files.append(os.open(path, os.O_RDONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644))
    except OSError as error:
        for descriptor in files:
            os.close(descriptor)
        logger.warning("other judges on this GPU cannot be waited for, and may disturb the clock: %s", error)
        return []
    return files
