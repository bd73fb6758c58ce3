"""Finds out which walls hold, by running against each of them in a throwaway process."""

import errno
import os
import socket
import tempfile
from collections.abc import Callable

from fitness.walls import kernel, landlock
from fitness.walls.namespaces import FLAGS
from fitness.walls.profiles import PYTHON, Walls
from fitness.walls.standing import Standing, Wall

_REFUSALS = (errno.EPERM, errno.EACCES)


def examine(folder: str, namespaces: tuple[str, ...], why_not: str) -> tuple[Walls, Standing]:
    """Return the walls to use from now on and what is in force with them; `folder` is the server's own."""
    secret, own = os.path.join(folder, "secret"), tempfile.mkdtemp(dir=folder)
    with open(secret, "w") as file:
        file.write("x")
    try:
        files = _run(lambda: _try_files(secret, own))
        calls = _run(lambda: _try_calls(own))
    finally:
        os.unlink(secret)
        os.rmdir(own)
    found = [Wall("landlock", files is None, files or str(landlock.version()))]
    found.append(Wall("seccomp", calls is None, calls or ""))
    found += [
        Wall(name, name in namespaces, "" if name in namespaces else why_not or "root does without") for name in FLAGS
    ]
    return Walls(files is None, calls is None), Standing(tuple(found))


def _run(attempt: Callable[[], str | None]) -> str | None:
    """Make an attempt in a throwaway process; return what is wrong with the wall, None when it holds."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            said = attempt()
        except OSError as error:
            said = kernel.reason(error)
        finally:
            os.write(writer, (said or "holds").encode())
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as answer:
        said = answer.read().decode(errors="replace")
    os.waitpid(pid, 0)
    return None if said == "holds" else said or "the process that tried it died"


def _try_files(secret: str, own: str) -> str | None:
    """Close Landlock alone, and try files inside and outside."""
    Walls(landlock=True, seccomp=False).close(PYTHON, own)
    _use(own)
    attempts: dict[str, Callable[[], object]] = {
        "a file elsewhere can be read": lambda: os.open(secret, os.O_RDONLY),
        "a file elsewhere can be written": lambda: os.open(secret, os.O_WRONLY),
        "a file elsewhere can be emptied": lambda: os.truncate(secret, 0),
        "a folder elsewhere can be listed": lambda: os.listdir(os.path.dirname(secret)),
        "a file can be made elsewhere": lambda: os.mkdir(secret + "-made"),
        "the parent's memory can be read": lambda: os.open(f"/proc/{_parent()}/mem", os.O_RDONLY),
    }
    return _first_success(attempts)


def _try_calls(own: str) -> str | None:
    """Close seccomp alone, and try calls inside and outside."""
    Walls(landlock=False, seccomp=True).close(PYTHON, own)
    _use(own)
    attempts: dict[str, Callable[[], object]] = {
        "a socket can be made": socket.socket,
        "a process can be started": _start_process,
        "a program can be executed": lambda: os.execv("/proc/self/exe", ["python", "-c", ""]),
        "other processes can be signalled": lambda: os.kill(os.getppid() or 1, 0),
        "owners can change permissions": lambda: os.chmod(own, 0o700),
    }
    os.kill(os.getpid(), 0)
    return _first_success(attempts)


def _use(own: str) -> None:
    """Do what every job does; a wall that refuses this is too high."""
    path = os.path.join(own, "file")
    with open(path, "w") as file:
        file.write("x")
    with open(path) as file:
        file.read()
    os.unlink(path)
    with open(os.devnull, "w") as null:
        null.write("x")


def _first_success(attempts: dict[str, Callable[[], object]]) -> str | None:
    """Return the first attempt that was not refused."""
    for what, attempt in attempts.items():
        try:
            attempt()
        except OSError as error:
            if error.errno in _REFUSALS:
                continue
            return f"{what}: refused only with {kernel.reason(error)}"
        return what
    return None


def _start_process() -> None:
    if os.fork() == 0:
        os._exit(0)


def _parent() -> int:
    """Return the parent's number as /proc has it; it may count processes of another namespace."""
    with open("/proc/self/stat") as stat:
        return int(stat.read().rsplit(")", 1)[1].split()[1])
