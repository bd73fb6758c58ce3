"""The folder that one fork server's children work in. A killed worker leaves its own behind; the next one clears it."""

import errno
import os
import tempfile
from pathlib import Path

from fitness import removal

PREFIX = "evo-jail-"  # of nothing else: what bears it and nobody holds is deleted
SECONDS = 0.5  # what takes longer to delete is left to a process of its own
ROOM = 16 << 20  # bytes that must be free: compilers and programs write, and fail in any way where they cannot
UNTOLD = (errno.EINVAL, errno.EOPNOTSUPP)  # from file systems that set nothing aside


class Scratch:
    """A folder for the children of one server, locked as long as it is used."""

    def __init__(self) -> None:
        _clear_abandoned()
        self.folder, self._lock = _make()

    def remove(self) -> None:
        """Delete the folder and all in it, at last."""
        _delete(self.folder, self._lock)


def full() -> str | None:
    """Say why temporary files have no room any more; None where they have.

    A file that is set aside and given back tells: free bytes would say nothing of inodes, quotas and permission.
    """
    try:
        with tempfile.TemporaryFile() as trial:
            os.posix_fallocate(trial.fileno(), 0, ROOM)
    except OSError as error:
        if error.errno in UNTOLD:
            return None
        return (f"judging needs room for {ROOM >> 20} MiB in {tempfile.tempdir or 'a folder for temporary files'} "
                f"({error.strerror}): make room, or name another folder by TMPDIR")  # fmt: skip
    return None


def _make() -> tuple[Path, int]:
    """Make a folder and lock it; another worker may take it for abandoned in between, and delete it."""
    while True:
        folder = Path(tempfile.mkdtemp(prefix=PREFIX))
        lock = removal.lock(folder)
        if lock is not None:
            return folder, lock


def _clear_abandoned() -> None:
    """Delete folders that jails made and nobody holds: their workers are dead, wherever they ran."""
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        lock = removal.lock(folder)
        if lock is not None:
            _delete(folder, lock)


def _delete(folder: Path, lock: int) -> None:
    """Delete a folder and give up its lock; whoever asks does not wait long."""
    gone = removal.remove(folder, SECONDS)
    os.close(lock)
    if not gone:
        removal.hand_over(folder)
