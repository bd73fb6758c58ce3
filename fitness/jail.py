"""The worker's side of a fork server: start it, give it jobs, replace it when it dies."""

import contextlib
import json
import os
import select
import socket
import subprocess
import sys
import time
from dataclasses import astuple, dataclass
from typing import Any

from fitness import removal, scratch, wire
from fitness.child import PATIENCE, Limits
from fitness.scratch import Scratch
from fitness.walls import standing
from fitness.walls.standing import Standing

_BOOT = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); "
    "from fitness.zygote import main; main(int(sys.argv[2]), sys.argv[3], int(sys.argv[4]), sys.argv[5])"
)
_START_SECONDS = 120.0
_GRACE_SECONDS = 15.0


class WorkerLost(Exception):
    """The fork server died or hung, or the machine has no room for a job: nobody's verdict, to be tried again."""


class NoRoom(WorkerLost):
    """Temporary files have no room where the work was done: so it will go with every other program, too."""


class ReferenceLost(WorkerLost):
    """A suite's reference that was right when its run began fails now: the machine's fault, and no program's."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a job ended: with a value, or with a failure's kind and message at a stage."""

    stage: str | None
    value: Any
    kind: str | None
    message: str
    trace: str
    log: str
    seconds: float


def lost(why: str) -> WorkerLost:
    """Return what to raise where a process was lost on this machine, which may have no room for any."""
    full = scratch.full()
    return WorkerLost(why) if full is None else NoRoom(full)


def _libraries() -> dict[str, str]:
    """Return the one variable that a server takes over: a GPU's driver may be found by it alone."""
    return {k: os.environ[k] for k in ("LD_LIBRARY_PATH",) if k in os.environ}


class Jail:
    """One fork server of one flavour; `run` may be called any number of times."""

    def __init__(self, flavour: str) -> None:
        self._flavour = flavour
        self._process: subprocess.Popen[bytes] | None = None
        self._channel: socket.socket | None = None
        self._ready = False
        self._standing: Standing | None = None
        self._pid: int | None = None
        self._scratch: Scratch | None = None

    def start(self) -> None:
        """Begin to load the server without waiting for it."""
        if self._process is not None:
            return
        self._scratch = Scratch()
        ours, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-c", _BOOT, json.dumps(sys.path),
                 str(theirs.fileno()), self._flavour, str(os.getpid()), str(self._scratch.folder)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                env={"PATH": "/usr/bin:/bin", "OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1", **_libraries()},
                pass_fds=[theirs.fileno()],
                start_new_session=True,
            )  # fmt: skip
        self._channel, self._ready = ours, False

    def run(self, job: str, payload: Any, limits: Limits) -> Outcome:
        """Run one job in a fresh child; WorkerLost when the server itself is lost."""
        return self._run(job, payload, limits)

    def run_twice(self, job: str, payload: Any, limits: Limits) -> tuple[Outcome, Outcome | None]:
        """Run one job in two fresh children, one after the other; None for the second where the first failed.

        The second begins with what Triton compiled for the first. They are one job: nothing goes to another's child.
        """
        name = f"compiled-{os.urandom(8).hex()}"
        first = self._run(job, payload, limits, keep=name)
        return first, self._run(job, payload, limits, take=name) if first.kind is None else None

    def _run(self, job: str, payload: Any, limits: Limits, keep: str = "", take: str = "") -> Outcome:
        """Have the server run one job; the two names are as fitness.zygote.Server.run has them."""
        try:
            self._greet()
            if not self._ready:
                self._await(_START_SECONDS)
                self._ready = True
            self._socket().sendall(wire.encode([job, payload, astuple(limits), keep, take]))
            stage, ending, log, seconds, left = self._await(PATIENCE * limits.seconds + _GRACE_SECONDS)
        except (EOFError, OSError, wire.WireError, ValueError) as error:
            self.close()
            raise lost(f"the {self._flavour} fork server was lost: {error}") from error
        except BaseException:
            self.close()  # else its answer, which nobody took, would be taken for the next job's
            raise
        if left is not None:
            removal.hand_over(left)
        if ending[0] == "result":
            return Outcome(stage, ending[1], None, "", "", log, seconds)
        if left is None and (full := scratch.full()) is not None:  # what it wrote itself is gone by now
            raise NoRoom(full)
        return Outcome(stage, None, ending[1], ending[2], ending[3], log, seconds)

    @property
    def standing(self) -> Standing:
        """What is in force around the children, as the server found it; WorkerLost when there is no server."""
        try:
            return self._greet()
        except (EOFError, OSError, wire.WireError, ValueError) as error:
            self.close()
            raise lost(f"the {self._flavour} fork server did not start: {error}") from error

    @property
    def pid(self) -> int | None:
        """The server's process, for those who watch or kill it; its guard while it has not said its own."""
        if self._process is None:
            return None
        return self._pid or self._process.pid

    def hang_up(self) -> None:
        """Break off what runs, from any thread: whoever waits for its answer closes the server and has WorkerLost."""
        channel = self._channel
        if channel is not None:
            with contextlib.suppress(OSError):  # it was closed meanwhile
                channel.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Kill the server and all its children."""
        if self._channel is not None:
            self._channel.close()
        if self._process is not None:
            self._process.terminate()  # so that it can kill what a child left behind
            try:
                self._process.wait(timeout=3)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        if self._scratch is not None:
            self._scratch.remove()
        self._process = self._channel = self._scratch = self._standing = self._pid = None

    def _greet(self) -> Standing:
        """Start the server and take its first words, which it says before it loads anything heavy."""
        self.start()
        if self._standing is None:
            pid, walls = self._await(_START_SECONDS)
            self._pid, self._standing = int(pid), standing.unpack(walls)
        return self._standing

    def _socket(self) -> socket.socket:
        if self._channel is None:
            raise EOFError("not started")
        return self._channel

    def _await(self, seconds: float) -> Any:
        """Receive one frame, or give up."""
        channel = self._socket()
        deadline = time.monotonic() + seconds
        if not select.select([channel], [], [], max(0.0, deadline - time.monotonic()))[0]:
            raise EOFError(f"no answer within {seconds:g} s")
        return wire.receive(channel.fileno())
