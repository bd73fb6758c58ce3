"""Hands what Triton compiled for one child of a fork server to the next, which does the same job.

The folder is moved while neither child lives. Nobody opens what lies in it but the second child, behind walls of its
own: a link in it leads no further than that child may go, and nothing is copied, however much it is.
"""

import contextlib
import os
import tempfile

CACHE = "cache"  # in a child's own folder


def make(folder: str, name: str) -> tuple[str, str]:
    """Make a job's folder and in it the child's own; for a name always the same, as a cache of Triton's holds paths."""
    scratch = os.path.join(folder, f"of-{name}") if name else tempfile.mkdtemp(dir=folder)
    if name:
        os.mkdir(scratch, 0o700)
    home = os.path.join(scratch, "home")
    os.mkdir(home)
    return scratch, home


def keep(home: str, place: str) -> None:
    """Move the cache, where there is one, out of the folder of a child that ended."""
    with contextlib.suppress(OSError):
        held = os.open(home, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)  # without walls it may be a link by now
        try:
            os.rename(CACHE, place, src_dir_fd=held)
        finally:
            os.close(held)


def give(place: str, home: str) -> None:
    """Move a cache that was kept into the new folder of a child that has not begun."""
    with contextlib.suppress(OSError):
        os.rename(place, os.path.join(home, CACHE))
