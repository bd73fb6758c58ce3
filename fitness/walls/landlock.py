"""Landlock: which files a process may open from now on, and which sockets and processes it may reach.

What it does not cover: whether a path exists, its size and its times can still be asked for.
"""

import ctypes
import os
from collections.abc import Iterable

from fitness.walls import kernel

_CREATE, _ADD, _RESTRICT = 444, 445, 446  # the same on every architecture
_ASK_VERSION, _PATH_BENEATH = 1, 1

EXECUTE, WRITE_FILE, READ_FILE, READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
_DIRECTORY_WORK = sum(1 << n for n in range(4, 13))  # make and remove every kind of file
_MAKE_SPECIAL = 1 << 6 | 1 << 11  # device nodes
_REFER, _TRUNCATE, _IOCTL_DEVICE = 1 << 13, 1 << 14, 1 << 15
_ALL = (1 << 16) - 1
_FILE_RIGHTS = EXECUTE | WRITE_FILE | READ_FILE | _TRUNCATE | _IOCTL_DEVICE
_SINCE = ((2, _REFER), (3, _TRUNCATE), (5, _IOCTL_DEVICE))  # ABI version that brought a right
_TCP, _SCOPES = 0b11, 0b11  # bind and connect; abstract Unix sockets and signals

READ = READ_FILE | READ_DIR
RUN = READ | EXECUTE
WRITE = READ | WRITE_FILE | (_DIRECTORY_WORK & ~_MAKE_SPECIAL) | _REFER | _TRUNCATE
OVERWRITE = WRITE_FILE | _TRUNCATE
DEVICE = READ | WRITE_FILE | _IOCTL_DEVICE


class _Ruleset(ctypes.Structure):
    _fields_ = [("files", ctypes.c_uint64), ("net", ctypes.c_uint64), ("scoped", ctypes.c_uint64)]


class _PathBeneath(ctypes.Structure):
    _pack_ = 1
    _layout_ = "ms"
    _fields_ = [("allowed", ctypes.c_uint64), ("parent", ctypes.c_int32)]


def version() -> int:
    """Return the kernel's Landlock ABI; OSError where there is none."""
    return kernel.call(_CREATE, None, ctypes.c_size_t(0), ctypes.c_uint32(_ASK_VERSION))


def restrict(rights: Iterable[tuple[str, int]]) -> None:
    """Refuse every file but those beneath the given paths, for good. Paths that are not there are left out."""
    abi = version()
    handled = _ALL
    for since, right in _SINCE:
        if abi < since:
            handled &= ~right
    rules = _Ruleset(handled, _TCP if abi >= 4 else 0, _SCOPES if abi >= 6 else 0)
    size = ctypes.sizeof(rules) if abi >= 6 else 16 if abi >= 4 else 8
    ruleset = kernel.call(_CREATE, ctypes.byref(rules), ctypes.c_size_t(size), ctypes.c_uint32(0))
    try:
        for path, allowed in rights:
            _allow(ruleset, path, allowed & handled)
        kernel.call(_RESTRICT, ruleset, ctypes.c_uint32(0))
    finally:
        os.close(ruleset)


def _allow(ruleset: int, path: str, allowed: int) -> None:
    """Add one rule."""
    try:
        place = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return
    try:
        if not os.path.isdir(path):
            allowed &= _FILE_RIGHTS
        rule = _PathBeneath(allowed, place)
        kernel.call(_ADD, ruleset, _PATH_BENEATH, ctypes.byref(rule), ctypes.c_uint32(0))
    finally:
        os.close(place)
