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


def enter(needed: Sequence[str], die_with_parent: Callable[[], None]) -> tuple[tuple[str, ...], str]:
    """Go on as process 1 of new namespaces; return which, or why none. Only a process of one thread may call this.

    The caller's process stays behind as a guard that ends with the new one. What is tried first in a throwaway process
    includes reading the files in `needed`: in a user namespace root owns only root's files.
    """
    why = ""
    for names in _ATTEMPTS:
        failure = _tried(names, needed)
        if failure is None:
            _split(names, die_with_parent)
            return names, ""
        why = why or failure
    return (), why


def _tried(names: Sequence[str], needed: Sequence[str]) -> str | None:
    """Enter namespaces in a throwaway process; return what went wrong there."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        _try(names, needed, writer)
    os.close(writer)
    with os.fdopen(reader, "rb") as answer:
        said = answer.read().decode(errors="replace")
    os.waitpid(pid, 0)
    return None if said == "fine" else said or "the process that tried it died"


def _try(names: Sequence[str], needed: Sequence[str], writer: int) -> NoReturn:
    """Enter, look around, and say what is wrong."""
    try:
        _unshare(names)
        inner = os.fork()
        if inner == 0:
            kernel.drop_capabilities()
            for path in needed:
                os.stat(path)
                if not os.access(path, os.R_OK):
                    raise PermissionError(f"{path} cannot be read inside")
            if os.getpid() != 1 or [name for _, name in socket.if_nameindex()] not in ([], ["lo"]):
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
    """Fork: the child goes on inside, the parent guards it and never returns."""
    _unshare(names)
    die_with_parent()  # entering a user namespace made the kernel forget it
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
