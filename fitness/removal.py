"""Deletes what a candidate left behind, however deep: shutil.rmtree recurses, and a deep tree ends whoever calls it."""

import contextlib
import os
from pathlib import Path


def remove(folder: str | Path) -> None:
    """Delete a folder and all in it, as far as that is possible."""
    with contextlib.suppress(OSError):
        top = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        try:
            _empty(top)
        finally:
            os.close(top)
        os.rmdir(folder)


def _empty(top: int) -> None:
    """Delete a folder's entries; what lies in folders below is moved up first, so that no path grows long."""
    number = 0
    while entries := [(e.name, e.is_dir(follow_symlinks=False)) for e in os.scandir(top)]:
        for name, is_folder in entries:
            if not is_folder:
                os.unlink(name, dir_fd=top)
                continue
            os.chmod(name, 0o700, dir_fd=top)
            below = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=top)
            try:
                for entry in list(os.scandir(below)):
                    if entry.is_dir(follow_symlinks=False):
                        os.chmod(entry.name, 0o700, dir_fd=below)
                    number += 1
                    os.rename(entry.name, f".removed-{number}", src_dir_fd=below, dst_dir_fd=top)
            finally:
                os.close(below)
            os.rmdir(name, dir_fd=top)
