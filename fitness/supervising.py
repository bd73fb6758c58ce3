"""What a job's supervisor does: wait for its child's result, hold it to its deadline, and say how it ended."""

import contextlib
import os
import select
import signal
import time
from typing import Any

from fitness import wire
from fitness.child import PATIENCE, Limits


class Waiting:
    """How long this process's only child was ready and had no processor; 0 where the kernel does not count it."""

    def __init__(self) -> None:
        self._file: int | None = None
        with contextlib.suppress(OSError, ValueError):
            with open("/proc/thread-self/children") as listing:  # its number there, which may be another than ours
                (child,) = listing.read().split()
            self._file = os.open(f"/proc/{child}/schedstat", os.O_RDONLY)

    def seconds(self) -> float:
        """Return what its first thread waited so far."""
        if self._file is None:
            return 0.0
        try:
            return int(os.pread(self._file, 256, 0).split()[1]) / 1e9
        except (OSError, IndexError, ValueError):  # it is dead
            return 0.0

    def close(self) -> None:
        """Give the file back."""
        if self._file is not None:
            os.close(self._file)


def supervise(pid: int, reader: int, limits: Limits, started: float) -> tuple[str | None, list[Any]]:
    """Wait for a result, a death or the deadline; then kill all that is left of the child.

    A machine that others use may give a child no processor for most of its time: the deadline moves by what it waited.
    """
    most = (PATIENCE - 1) * limits.seconds
    waiting, held = Waiting(), 0.0
    frames = wire.Frames(limits.output)
    stage: str | None = None
    poller = select.poll()
    poller.register(reader, select.POLLIN | select.POLLHUP)
    dead = False
    status = 0
    try:
        while True:
            left = started + limits.seconds + held - time.monotonic()
            if left <= 0:
                waited = min(waiting.seconds(), most)
                if waited <= held:
                    beside = f", and {held:.0f} s without a processor" if held >= 1 else ""
                    return stage, ["failure", "timeout", f"did not finish within {limits.seconds:g} s{beside}", ""]
                held = waited
                continue
            ready = poller.poll(0 if dead else min(left, 0.05) * 1000)
            data = os.read(reader, 1 << 20) if ready else b""
            for body in frames.feed(data):
                frame = _read(body)
                if frame is None:
                    return stage, ["failure", "malformed", "the child sent something that is no frame of ours", ""]
                if frame[0] != "stage":
                    return stage, list(frame)
                stage = frame[1]
            if dead and not data:
                return stage, ["failure", *_obituary(status)]
            if not dead and not (data and ready):
                done, status = os.waitpid(pid, os.WNOHANG)
                dead = done == pid
                if ready and not dead:
                    time.sleep(0.001)  # the channel is closed but the process lives: do not spin
    except wire.WireError as error:
        return stage, ["failure", "output", str(error), ""]
    finally:
        waiting.close()
        kill(pid, dead)


def _read(body: bytes) -> tuple[Any, ...] | None:
    """Read a frame; None where it has not the form of one that Report sends."""
    try:
        wire.check_objects(body)
        frame = wire.decode(body)
    except wire.WireError:
        return None
    if not isinstance(frame, tuple) or not frame:
        return None
    kind, *rest = frame
    texts = all(isinstance(r, str) for r in rest)
    good = (kind == "result" and len(rest) == 1) or (texts and [kind, len(rest)] in (["stage", 1], ["failure", 3]))
    return frame if good else None


def _obituary(status: int) -> tuple[str, str, str]:
    """Say how a child ended that gave no result."""
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        if number == signal.SIGXCPU:
            return "timeout", "used up its processor time", ""
        return "crash", f"was killed by {signal.Signals(number).name}", ""
    return "exit", f"ended with exit status {os.WEXITSTATUS(status)} and gave no result", ""


def kill(pid: int, dead: bool) -> None:
    """Kill a child and its process group, and collect it."""
    for to in (os.killpg, os.kill):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            to(pid, signal.SIGKILL)
    if not dead:
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, 0)
