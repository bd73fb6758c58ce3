"""The fork server: loads torch and triton once, then forks one short-lived, limited child for every job.

A fork with both loaded takes about 15 ms; a fresh interpreter takes 2 s. The server itself never runs a candidate's
code and never touches a GPU. It is the supervisor of its children: limits are enforced here, outside the child.
What this does not do: it does not keep a child from reading files, from the network or from signalling processes
of the same user.
"""

import contextlib
import ctypes
import os
import resource
import select
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

from fitness import wire

Job = Callable[[Any, "Report"], Any]

LOG_TAIL = 4096
TRACE_LIMIT = 6000
_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36


@dataclass(frozen=True, slots=True)
class Limits:
    """What one child may use."""

    seconds: float = 30.0  # wall clock
    memory: int = 6 << 30  # bytes of address space on top of what the server has
    output: int = 512 << 20  # bytes over the result channel
    file: int = 32 << 20  # bytes of any one file, standard output among them


class Refused(Exception):
    """A candidate does what cannot be judged; `kind` names the rule."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


class Report:
    """The child's end of the result channel."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def stage(self, name: str) -> None:
        """Tell the supervisor which gate is being worked on, so that a hang is charged to it."""
        wire.send(self._descriptor, ["stage", name])

    def result(self, value: Any) -> None:
        """Send the job's result."""
        wire.send(self._descriptor, ["result", value])

    def failure(self, kind: str, message: str, trace: str) -> None:
        """Send why the job failed."""
        wire.send(self._descriptor, ["failure", kind, message[:TRACE_LIMIT], trace[-TRACE_LIMIT:]])


class Server:
    """Runs one job at a time, each in its own child."""

    def __init__(self, control: int, jobs: Mapping[str, Job]) -> None:
        self._control = control
        self._jobs = jobs
        self._base = _virtual_memory()

    def serve(self) -> None:
        """Answer requests until the other side hangs up."""
        wire.send(self._control, "ready")
        while True:
            try:
                name, payload, limits = wire.receive(self._control)
            except (EOFError, ConnectionError):
                return
            wire.send(self._control, self.run(name, payload, Limits(*limits)))

    def run(self, name: str, payload: Any, limits: Limits) -> list[Any]:
        """Fork a child for one job and supervise it to its end."""
        scratch = tempfile.mkdtemp(prefix="evo-")
        reader, writer = os.pipe()
        started = time.monotonic()
        pid = os.fork()
        if pid == 0:
            os.close(reader)
            self._child(self._jobs[name], payload, limits, writer, scratch)
        os.close(writer)
        try:
            stage, ending = _supervise(pid, reader, limits, started)
            log = _tail(os.path.join(scratch, "log"))
            return [stage, ending, log, time.monotonic() - started]
        finally:
            os.close(reader)
            _reap_orphans()
            shutil.rmtree(scratch, ignore_errors=True)

    def _child(self, job: Job, payload: Any, limits: Limits, writer: int, scratch: str) -> NoReturn:
        """Confine this process, run the job, report, and end without running anyone's exit handlers."""
        report = Report(writer)
        try:
            _confine(limits, self._base, writer, scratch)
            report.result(job(payload, report))
        except BaseException as error:  # noqa: BLE001  the jail's border: whatever a candidate raises is its failure
            _report_exception(report, error)
        finally:
            os._exit(0)


def _supervise(pid: int, reader: int, limits: Limits, started: float) -> tuple[str | None, list[Any]]:
    """Wait for a result, a death or the deadline; then kill all that is left of the child."""
    frames = wire.Frames(limits.output)
    stage: str | None = None
    poller = select.poll()
    poller.register(reader, select.POLLIN | select.POLLHUP)
    dead = False
    status = 0
    try:
        while True:
            left = started + limits.seconds - time.monotonic()
            if left <= 0:
                return stage, ["failure", "timeout", f"did not finish within {limits.seconds:g} s", ""]
            ready = poller.poll(0 if dead else min(left, 0.05) * 1000)
            data = os.read(reader, 1 << 20) if ready else b""
            for body in frames.feed(data):
                kind, *rest = wire.decode(body)
                if kind == "stage":
                    stage = str(rest[0])
                else:
                    return stage, [kind, *rest]
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
        _kill(pid, dead)


def _obituary(status: int) -> tuple[str, str, str]:
    """Say how a child ended that gave no result."""
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        if number == signal.SIGXCPU:
            return "timeout", "used up its processor time", ""
        return "crash", f"was killed by {signal.Signals(number).name}", ""
    return "exit", f"ended with exit status {os.WEXITSTATUS(status)} and gave no result", ""


def _kill(pid: int, dead: bool) -> None:
    """Kill a child and its process group, and collect it."""
    for kill in (os.killpg, os.kill):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            kill(pid, signal.SIGKILL)
    if not dead:
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, 0)


def _reap_orphans() -> None:
    """Kill what a child left behind: as a subreaper this process inherits even what called setsid."""
    for _ in range(1000):
        with open(f"/proc/self/task/{os.getpid()}/children") as listing:
            children = [int(pid) for pid in listing.read().split()]
        if not children:
            return
        for pid in children:
            _kill(pid, dead=False)


def _confine(limits: Limits, base: int, writer: int, scratch: str) -> None:
    """Give up everything this child does not need, before a candidate's code runs."""
    os.setsid()
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    home = os.path.join(scratch, "home")
    os.mkdir(home)
    os.chdir(home)
    log = os.open(os.path.join(scratch, "log"), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    null = os.open(os.devnull, os.O_RDONLY)
    for source, wanted in ((null, 0), (log, 1), (log, 2)):
        os.dup2(source, wanted)
    os.closerange(3, writer)
    os.closerange(writer + 1, 65536)
    interpret = os.environ.get("TRITON_INTERPRET")
    os.environ.clear()
    os.environ.update(HOME=home, TMPDIR=home, TRITON_CACHE_DIR=os.path.join(home, "cache"), PATH="/usr/bin:/bin")
    os.environ.update(PYTHONDONTWRITEBYTECODE="1", CUDA_VISIBLE_DEVICES="", HIP_VISIBLE_DEVICES="")
    if interpret:
        os.environ["TRITON_INTERPRET"] = interpret
    tempfile.tempdir = None
    for what, value in (
        (resource.RLIMIT_AS, base + limits.memory),
        (resource.RLIMIT_FSIZE, limits.file),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_CPU, int(limits.seconds * 4) + 1),
        (resource.RLIMIT_NOFILE, 256),
    ):
        resource.setrlimit(what, (value, value))


def _report_exception(report: Report, error: BaseException) -> None:
    """Turn whatever was raised into a failure with the candidate's own lines of the traceback."""
    kind = "exception"
    message = f"{type(error).__name__}: {error}"
    if isinstance(error, Refused):
        kind, message = error.kind, str(error)
    elif isinstance(error, MemoryError) or "can't allocate memory" in message:
        kind = "memory"
    elif isinstance(error, SystemExit):
        kind, message = "exit", f"raised SystemExit({error.code!r})"
    elif isinstance(error, SyntaxError):
        kind, message = "syntax", f"line {error.lineno}: {error.msg}"
    elif isinstance(error, OSError) and error.errno == 27:  # EFBIG: the limit on any one file
        kind, message = "output", "wrote more than the limit for one file"
    elif type(error).__module__.startswith("triton.compiler"):
        kind = "compiler"
    with contextlib.suppress(OSError):
        report.failure(kind, message, _own_lines(error))


def _own_lines(error: BaseException) -> str:
    """Format the part of a traceback that lies in the candidate's file."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [f for f in frames if f.filename.endswith(("candidate.py", "task.py"))]
    text = "".join(traceback.format_list(own or frames[-3:]))
    cause = error.__cause__
    return text if cause is None else text + f"caused by {type(cause).__name__}: {cause}\n"


def _tail(path: str) -> str:
    """Read the end of what a child printed."""
    try:
        with open(path, "rb") as log:
            log.seek(max(0, os.path.getsize(path) - LOG_TAIL))
            return log.read().decode(errors="replace")
    except OSError:
        return ""


def _virtual_memory() -> int:
    """Return this process's address space in bytes."""
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[0]) * resource.getpagesize()


def _prctl(option: int, value: int) -> None:
    ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0)


def main(control: int, flavour: str, parent: int) -> None:
    """Load everything, then serve. `flavour` is compiled or interpreter: triton decides which when imported."""
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        sys.exit(0)
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if flavour == "interpreter":
        os.environ["TRITON_INTERPRET"] = "1"
    from fitness import jobs

    jobs.preload(flavour)
    Server(control, jobs.JOBS[flavour]).serve()
