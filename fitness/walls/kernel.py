"""System calls that Python has no name for, through ctypes: the walls need no package."""

import ctypes
import errno
import os
import platform

PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_SET_CHILD_SUBREAPER, PR_SET_NO_NEW_PRIVS = 1, 4, 36, 38
_CAPABILITIES_VERSION = 0x20080522  # two words of 32 capabilities each
_CAPSET = {"x86_64": 126, "aarch64": 91}

_libc = ctypes.CDLL(None, use_errno=True)


class _Header(ctypes.Structure):
    _fields_ = [("version", ctypes.c_uint32), ("pid", ctypes.c_int)]


def call(number: int, *arguments: object) -> int:
    """Make a system call by its number; OSError as Python's own calls raise it."""
    return _checked(_libc.syscall(ctypes.c_long(number), *arguments))


def prctl(option: int, value: int) -> None:
    """Set one property of this process."""
    _checked(_libc.prctl(option, ctypes.c_ulong(value), 0, 0, 0))


def unshare(flags: int) -> None:
    """Leave namespaces for new ones."""
    _checked(_libc.unshare(flags))


def mount(kind: str | None, place: str, flags: int) -> None:
    """Mount a kind of file system that lies on no disk, or with no kind change what is mounted."""
    name = None if kind is None else kind.encode()
    _checked(_libc.mount(name, place.encode(), name, ctypes.c_ulong(flags), None))


def drop_capabilities() -> None:
    """Keep nothing of what makes root more than an owner of files; no program started later gets it back."""
    prctl(PR_SET_NO_NEW_PRIVS, 1)
    if platform.machine() in _CAPSET:
        call(_CAPSET[platform.machine()], ctypes.byref(_Header(_CAPABILITIES_VERSION, 0)), (ctypes.c_uint32 * 6)())


def reason(error: OSError) -> str:
    """Say in words why the kernel refused."""
    if error.errno == errno.ENOSYS:
        return "this kernel does not have it"
    return os.strerror(error.errno or 0).lower()


def _checked(result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result
