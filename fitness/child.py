"""A child of the fork server, from inside: the limits it lives under, its channel, and how its failures are told."""

import contextlib
import math
import os
import resource
import signal
import tempfile
import traceback
from dataclasses import dataclass
from typing import Any

from fitness import wire
from fitness.handed_on import CACHE
from fitness.walls import kernel

TRACE_LIMIT = 6000
PATIENCE = 4  # how many times its seconds a child may have in all, where it waits for a processor that others use
# A GPU's driver reserves more address space than any machine has memory, so what is limited is what may be written to.
# It may start programs, so their number is limited: of all of this user's where there is no user namespace.
_GPU_LIMITS = ((resource.RLIMIT_DATA, 64 << 30), (resource.RLIMIT_NPROC, 4096))


@dataclass(frozen=True, slots=True)
class Limits:
    """What one child may use."""

    seconds: float = 30.0  # wall clock, less what it waits for a processor
    memory: int = 6 << 30  # bytes of address space on top of what the server has
    output: int = 512 << 20  # bytes over the result channel
    file: int = 32 << 20  # bytes of any one file, standard output among them
    processor: float | None = None  # seconds of it; None: four times those of the clock


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


def die_with_parent() -> None:
    """Have the kernel kill this process when the one that started it ends."""
    kernel.prctl(kernel.PR_SET_PDEATHSIG, signal.SIGKILL)


def adopt_orphans() -> None:
    """Become the parent of whatever any descendant leaves behind."""
    kernel.prctl(kernel.PR_SET_CHILD_SUBREAPER, 1)


def confine(limits: Limits, base: int, writer: int, scratch: str, home: str, gpu: bool = False) -> None:
    """Give up what this child does not need and go home, to its own folder. The walls are closed after this."""
    os.setsid()
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    die_with_parent()
    kernel.prctl(kernel.PR_SET_DUMPABLE, 1)  # its own /proc/self, unlike the server's, is not root's
    os.chdir(home)
    log = os.open(os.path.join(scratch, "log"), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    null = os.open(os.devnull, os.O_RDONLY)
    for source, wanted in ((null, 0), (log, 1), (log, 2)):
        os.dup2(source, wanted)
    os.closerange(3, writer)
    os.closerange(writer + 1, 65536)
    interpret = os.environ.get("TRITON_INTERPRET")
    os.environ.clear()
    os.environ.update(
        HOME=home, TMPDIR=home, TRITON_CACHE_DIR=os.path.join(home, CACHE), PATH="/usr/bin:/bin", LOGNAME="candidate"
    )
    os.environ.update(PYTHONDONTWRITEBYTECODE="1", CUDA_VISIBLE_DEVICES="", HIP_VISIBLE_DEVICES="")
    if interpret:
        os.environ["TRITON_INTERPRET"] = interpret
    tempfile.tempdir = None
    for what, value in (
        *(_GPU_LIMITS if gpu else ((resource.RLIMIT_AS, base + limits.memory),)),
        (resource.RLIMIT_FSIZE, limits.file),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_NOFILE, 256),
    ):
        _limit(what, value, value)
    processor = math.ceil(limits.seconds * 4 if limits.processor is None else limits.processor)
    _limit(resource.RLIMIT_CPU, processor, processor + 1)  # at the second number it is killed without a word


def _limit(what: int, soft: int, hard: int) -> None:
    """Set a limit of this process, or the one that is in force where that is lower."""
    most = resource.getrlimit(what)[1]
    lowest = [n if most == resource.RLIM_INFINITY else min(n, most) for n in (soft, hard)]
    resource.setrlimit(what, (lowest[0], lowest[1]))


def report_exception(report: Report, error: BaseException) -> None:
    """Turn whatever was raised into a failure with the candidate's own lines of the traceback."""
    kind = "exception"
    message = f"{type(error).__name__}: {_text(error)}"
    if isinstance(error, Refused):
        kind, message = error.kind, _text(error)
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
        report.failure(kind, _sendable(message), _sendable(_own_lines(error)))


def _text(error: BaseException) -> str:
    """Return an exception's words; a candidate's own exception may fail to have any."""
    try:
        return str(error)
    except Exception as other:  # noqa: BLE001  the jail's border
        return f"(its message raised {type(other).__name__})"


def _sendable(text: str) -> str:
    return text.encode(errors="replace").decode()


def _own_lines(error: BaseException) -> str:
    """Format the part of a traceback that lies in the candidate's file, if any; the rest is the judge's own.

    A refusal told again keeps its first lines.
    """
    cause = error.__cause__
    if isinstance(error, Refused) and isinstance(cause, Refused):
        return _own_lines(cause)
    frames = traceback.extract_tb(error.__traceback__)
    own = [f for f in frames if f.filename.endswith(("candidate.py", "task.py"))]
    text = "".join(traceback.format_list(own))
    return text if cause is None else text + f"caused by {type(cause).__name__}: {_text(cause)}\n"
