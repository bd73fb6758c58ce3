"""Deletes what a candidate left behind, however deep: shutil.rmtree recurses, and a deep tree ends whoever calls it.

How long that takes is up to the candidate. So it has a limit, and a process of its own goes on after it.
"""

import contextlib
import fcntl
import itertools
import math
import os
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

NICE = 19
LISTED = 1000  # entries of a folder at a time


def remove(folder: str | Path, seconds: float = math.inf) -> bool:
    """Delete a folder and all in it, as far as that is possible in this time; return whether it is gone."""
    with contextlib.suppress(OSError):
        top = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        try:
            _empty(top, time.monotonic() + seconds)
        finally:
            os.close(top)
        os.rmdir(folder)
    return not os.path.lexists(folder)


def lock(folder: str | Path) -> int | None:
    """Hold a folder of mkdtemp's until the descriptor is closed; None where it is held, gone, or not this user's."""
    try:
        held = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError:
        return None
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        found = os.fstat(held)
        if (found.st_uid, stat.S_IMODE(found.st_mode)) == (os.geteuid(), 0o700) and os.path.samestat(
            found, os.lstat(folder)
        ):
            return held
    except OSError:
        pass  # held by another, or deleted before it was locked
    os.close(held)
    return None


def hand_over(folder: str | Path) -> None:
    """Have a process that outlives this one, and yields to all others, delete a folder that nobody holds."""
    with contextlib.suppress(OSError):  # where nothing can be started, the next worker's Scratch clears it
        subprocess.run(
            [sys.executable, "-I", "-S", __file__, str(folder)],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            env={}, check=False, start_new_session=True,
        )  # fmt: skip


def _empty(top: int, deadline: float) -> None:
    """Delete a folder's entries; what lies in folders below is moved up first, so that no path grows long."""
    token = os.urandom(8).hex()  # an earlier attempt may have left its names
    names = (f".removed-{token}-{n}" for n in itertools.count())
    while entries := _some(top):
        for name, is_folder in entries:
            _in_time(deadline)
            if is_folder:
                _dissolve(top, name, names, deadline)
            else:
                os.unlink(name, dir_fd=top)


def _dissolve(top: int, name: str, names: Iterator[str], deadline: float) -> None:
    """Move a folder's entries up beside it and delete it."""
    os.chmod(name, 0o700, dir_fd=top)
    below = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=top)
    try:
        while entries := _some(below):
            for entry, is_folder in entries:
                _in_time(deadline)
                if is_folder:
                    os.chmod(entry, 0o700, dir_fd=below)
                os.rename(entry, next(names), src_dir_fd=below, dst_dir_fd=top)
    finally:
        os.close(below)
    os.rmdir(name, dir_fd=top)


def _some(folder: int) -> list[tuple[str, bool]]:
    """List the first entries, and which are folders: nobody knows how many there are."""
    with os.scandir(folder) as entries:
        return [(e.name, e.is_dir(follow_symlinks=False)) for e in itertools.islice(entries, LISTED)]


def _in_time(deadline: float) -> None:
    if time.monotonic() > deadline:
        raise TimeoutError


def _main(folder: str) -> None:
    """Go on without whoever asked, when nothing else wants the processor."""
    if os.fork() == 0:
        os.nice(NICE)
        if lock(folder) is not None:
            remove(folder)


if __name__ == "__main__":
    _main(sys.argv[1])
