"""Own namespaces: the fork server becomes process 1 of a world with no other process, no network and no shared memory.

Jobs are ordinary children in that world, so it costs a job nothing. Killing the server kills all of it, and the server
can kill all but itself at once. Nobody inside can kill process 1: the kernel protects it.
"""

import contextlib
import os
import signal
import socket
from collections.abc import Callable, Sequence
from typing import NoReturn

from fitness.walls import kernel

FLAGS = {"user": 0x10000000, "net": 0x40000000, "pid": 0x20000000, "ipc": 0x08000000, "uts": 0x04000000}
_ATTEMPTS = (tuple(FLAGS), ("net", "pid", "ipc", "uts"))  # root may do without a user namespace
_OWN_MOUNTS = 0x00020000
_QUIET, _PRIVATE = 0b1110, 0x4000 | 0x40000  # no setuid programs, devices or programs; all that is mounted, alone


def enter(needed: Sequence[str], die_with_parent: Callable[[], None], device: bool = False
          ) -> tuple[tuple[str, ...], str]:  # fmt: skip
    """Go on as process 1 of new namespaces; return which, or why none. Only a process of one thread may call this.

    The caller's process stays behind as a guard that ends with the new one. What is tried first in a throwaway process
    includes reading the files in `needed`: in a user namespace root owns only root's files. Where children will open
    a `device` they must see themselves in /proc; a machine that refuses that leaves them in its process namespace.
    """
    why = ""
    attempts = [(names, device) for names in _ATTEMPTS]
    if device:
        attempts += [(tuple(n for n in names if n != "pid"), False) for names in _ATTEMPTS]
    for names, mounting in attempts:
        failure = _tried(names, needed, mounting)
        if failure is None:
            _split(names, die_with_parent)
            return names, "" if "pid" in names else why
        why = why or failure
    return (), why


def see_own_processes() -> None:
    """Show this process a /proc of its own process namespace; others keep theirs. Needs its capabilities.

    The C library names a thread by /proc/self/task/NUMBER/comm, with the number that it has inside. In the /proc
    of another namespace that is no thread of this process, and CUDA does not start when it cannot name its threads.
    """
    if os.readlink("/proc/self") == str(os.getpid()):
        return
    kernel.unshare(_OWN_MOUNTS)
    kernel.mount(None, "/", _PRIVATE)  # else the other side would see it too
    kernel.mount("proc", "/proc", _QUIET)


def _tried(names: Sequence[str], needed: Sequence[str], mounting: bool) -> str | None:
    """Enter namespaces in a throwaway process; return what went wrong there."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        _try(names, needed, mounting, writer)
    os.close(writer)
    with os.fdopen(reader, "rb") as answer:
        said = answer.read().decode(errors="replace")
    os.waitpid(pid, 0)
    return None if said == "fine" else said or "the process that tried it died"


def _try(names: Sequence[str], needed: Sequence[str], mounting: bool, writer: int) -> NoReturn:
    """Enter, look around, and say what is wrong."""
    try:
        _unshare(names)
        inner = os.fork()
        if inner == 0:
            if mounting:
                see_own_processes()
            kernel.drop_capabilities()
            for path in needed:
                os.stat(path)
                if not os.access(path, os.R_OK):
                    raise PermissionError(f"{path} cannot be read inside")
            devices = [name for _, name in socket.if_nameindex()]
            if ("pid" in names and os.getpid() != 1) or devices not in ([], ["lo"]):
                raise PermissionError("the namespaces are not new")
            os.write(writer, b"fine")
            os._exit(0)
        os.waitpid(inner, 0)
    except OSError as error:
        os.write(writer, (kernel.reason(error) if error.errno else str(error)).encode())
    finally:
        os._exit(0)


def _unshare(names: Sequence[str]) -> None:
    """Leave the named namespaces; this process stays who it was."""
    user, group = os.geteuid(), os.getegid()
    flags = 0
    for name in names:
        flags |= FLAGS[name]
    kernel.unshare(flags)
    if "user" in names:
        for file, text in (("setgroups", "deny"), ("uid_map", f"{user} {user} 1"), ("gid_map", f"{group} {group} 1")):
            with open(f"/proc/self/{file}", "w") as mapping:
                mapping.write(text)


def _split(names: Sequence[str], die_with_parent: Callable[[], None]) -> None:
    """Fork where processes are numbered anew: the child goes on inside, the parent guards it and never returns."""
    _unshare(names)
    die_with_parent()  # entering a user namespace made the kernel forget it
    if "pid" not in names:
        return  # this process is inside already
    pid = os.fork()
    if pid != 0:
        _guard(pid)
    die_with_parent()


def _guard(pid: int) -> NoReturn:
    """End with the process inside; when told to end, end it first. It is gone only when all inside is."""

    def end(number: int, frame: object) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.closerange(0, 65536)
    while True:
        with contextlib.suppress(InterruptedError):
            _, status = os.waitpid(pid, 0)
            os._exit(os.waitstatus_to_exitcode(status) & 0xFF)
