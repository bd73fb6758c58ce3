"""Runs one command and ends all that it started: command.py starts this file as a process of its own.

Every process whose parent has ended becomes a child of the keeper (the kernel calls it a subreaper), so what the
command started is found below it, also what began a session of its own. A pipe says what the other side knows: a byte,
that nobody writes an answer any more; its end, that nobody waits for one, because the time is up or the search is dead.
"""

import contextlib
import ctypes
import os
import select
import signal
import sys
import time

GRACE = 1.0  # seconds to write an answer for what the command itself has left behind
ENDING = 2.0  # seconds after which what cannot be killed (another user's) is left
LOOK = 0.01  # seconds between looks at what is dying
SUBREAPER = 36  # PR_SET_CHILD_SUBREAPER
DEAF = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGQUIT)  # to what a command may send its parent


def below(root: int) -> list[int]:
    """Return the living descendants of a process, as far as parents can be followed."""
    parents: dict[int, int] = {}
    for name in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError, IndexError, ValueError):
            with open(f"/proc/{name}/stat", "rb") as file:  # its name, which stands in brackets, may hold anything
                state, parent = file.read().rpartition(b")")[2].split()[:2]
            if state not in b"ZX":
                parents[int(name)] = int(parent)
    found, level = [], [root]
    while level := [pid for pid, parent in parents.items() if parent in level]:
        found += level
    return found


def end(root: int) -> None:
    """Kill all descendants of a process, also those that come into being meanwhile."""
    until = time.monotonic() + ENDING
    while (found := below(root)) and time.monotonic() < until:
        for pid in found:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        reaped()
        time.sleep(LOOK)


def reaped() -> dict[int, int]:
    """Collect children that have ended, with their exit codes."""
    found = {}
    with contextlib.suppress(ChildProcessError):
        while (ended := os.waitpid(-1, os.WNOHANG))[0]:
            found[ended[0]] = os.waitstatus_to_exitcode(ended[1])
    return found


def keep(lives: int, argv: list[str]) -> int:
    """Run a command until all that it started has ended, or may no longer live; return its exit code as sh does."""
    ctypes.CDLL(None).prctl(SUBREAPER, 1, 0, 0, 0)
    os.set_inheritable(lives, False)
    woken, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    for deaf in DEAF:
        signal.signal(deaf, signal.SIG_IGN)
    usual = (*DEAF, signal.SIGPIPE, signal.SIGXFSZ)  # the last two are ignored by Python
    try:
        pid = os.posix_spawnp(argv[0], argv, os.environ, setsid=True, setsigdef=usual)
    except OSError as error:
        print(f"cannot run {argv[0]}: {error.strerror}", file=sys.stderr)  # noqa: T201  as sh says it
        return 127
    nowhere = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1, 2):  # whoever holds these holds the answer up
        os.dup2(nowhere, standard)
    code = _awaited(pid, lives, woken)
    end(os.getpid())
    return 128 - code if code < 0 else code


def _awaited(pid: int, lives: int, woken: int) -> int:
    """Wait for a command, and a moment for what it left behind; return its exit code."""
    code, ended, grace = None, 0.0, GRACE
    while code is None or (time.monotonic() < ended + grace and below(os.getpid())):
        left = None if code is None else max(0.0, ended + grace - time.monotonic())
        ready = select.select((lives, woken), (), (), left)[0]
        if woken in ready:
            os.read(woken, 4096)
        if lives in ready:
            if not os.read(lives, 1):
                break
            grace = 0.0
        dead = reaped()
        if pid in dead:
            code, ended = dead[pid], time.monotonic()
    return -signal.SIGKILL if code is None else code


if __name__ == "__main__":
    sys.exit(keep(int(sys.argv[1]), sys.argv[2:]))
