"""The fork server: loads torch and triton once, then forks one short-lived, limited child for every job.

A job in a fork with both loaded, behind all walls, takes about 14 ms; a fresh interpreter takes 2 s. The server never
runs a candidate's code, touches no GPU, and reads no request or result. Each job has a supervisor, which enforces its
limits from outside, and a child, which runs it behind the walls of fitness/walls. Where the kernel allows it, the
server is process 1 of namespaces of its own.
"""

import contextlib
import gc
import os
import resource
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, NoReturn

from fitness import handed_on, wire
from fitness.child import Limits, Report, adopt_orphans, confine, die_with_parent, report_exception
from fitness.removal import remove
from fitness.supervising import kill, supervise
from fitness.walls import kernel, namespaces, probe, profiles, standing
from fitness.walls.profiles import Walls

Job = Callable[[Any, Report], Any]

LOG_TAIL = 4096
CLEARING_SECONDS = 0.5  # a verdict waits no longer for its folder to be deleted
WITH_DEVICE = ("device", "foreign")  # flavours whose children may open a GPU
NICE = 5  # what a device waits for comes before what may be built ahead


class Server:
    """Runs one job at a time, each with its own supervisor and child."""

    def __init__(self, control: int, jobs: Mapping[str, Job], folder: str, walls: Walls, alone: bool) -> None:
        self._control, self._jobs, self._folder = control, jobs, folder
        self._walls, self._alone = walls, alone  # alone: in a process namespace of its own
        self._base = _virtual_memory()

    def serve(self) -> None:
        """Answer requests until the other side hangs up."""
        wire.send(self._control, "ready")
        while self._relay():
            pass

    def _relay(self) -> bool:
        """Fork a supervisor, which waits for the next request; return whether there will be another.

        This process reads neither requests nor results: its memory is what every later child begins with, and a
        truth or a right answer that had passed through it would be there. The second fork costs 5 ms, most of them
        before the request comes.
        """
        pid = os.fork()
        if pid == 0:
            self._answer()
        return os.waitpid(pid, 0)[1] == 0

    def _answer(self) -> NoReturn:
        """Answer one request in a process of its own, and end."""
        status = 1
        try:
            die_with_parent()
            adopt_orphans()
            name, payload, limits, keep, take = wire.receive(self._control)
            self._tell(*self.run(name, payload, Limits(*limits), keep, take))
            status = 0
        except (EOFError, ConnectionError):
            pass  # the other side hung up
        except BaseException:  # noqa: BLE001  this process must not go on as a second server
            traceback.print_exc()
        finally:
            os._exit(status)

    def _tell(self, stage: str | None, ending: list[Any], *rest: Any) -> None:
        """Send how a job ended; a result may be nested deeper than what can be sent on, or grow while it is read."""
        try:
            answer = wire.encode([stage, ending, *rest])
        except wire.WireError as error:
            answer = wire.encode([stage, ["failure", "malformed", str(error), ""], *rest])
        wire.write(self._control, answer)

    def run(self, name: str, payload: Any, limits: Limits, keep: str = "", take: str = "") -> tuple[Any, ...]:
        """Fork a child for one job and supervise it to its end; return the answer that Jail.run takes.

        `keep` is a name for what Triton compiles for it, kept where it gives a result; `take` what it begins with.
        """
        scratch, home = handed_on.make(self._folder, keep or take)
        if take:
            handed_on.give(os.path.join(self._folder, take), home)
        reader, writer = os.pipe()
        started = time.monotonic()
        pid = os.fork()
        if pid == 0:
            os.close(reader)
            self._child(name, payload, limits, writer, scratch, home)
        os.close(writer)
        try:
            stage, ending = supervise(pid, reader, limits, started)
            log, seconds = _tail(os.path.join(scratch, "log")), time.monotonic() - started
        finally:
            os.close(reader)
            _kill_all() if self._alone else _reap_orphans()
        if keep and ending[0] == "result":
            handed_on.keep(home, os.path.join(self._folder, keep))
        return stage, ending, log, seconds, self._clear(scratch)

    def _clear(self, scratch: str) -> str | None:
        """Delete a job's folder. What takes longer is put beside the server's own folder, where others can go on."""
        if remove(scratch, CLEARING_SECONDS):
            return None
        left = f"{self._folder}-{os.path.basename(scratch)}"
        with contextlib.suppress(OSError):
            os.rename(scratch, left)
            return left
        return None  # it goes with the server's folder

    def _child(self, name: str, payload: Any, limits: Limits, writer: int, scratch: str, home: str) -> NoReturn:
        """Confine this process, run the job, report, and end without running anyone's exit handlers."""
        report = Report(writer)
        try:
            profile = profiles.of(name)
            confine(limits, self._base, writer, scratch, home, profile.gpu)
            self._walls.close(profile, home)
            report.result(self._jobs[name](payload, report))
        except BaseException as error:  # noqa: BLE001  the jail's border: whatever a candidate raises is its failure
            report_exception(report, error)
        finally:
            os._exit(0)


def _reap_orphans() -> None:
    """Kill what a child left behind: as a subreaper this process inherits even what called setsid."""
    for _ in range(1000):
        with open(f"/proc/self/task/{os.getpid()}/children") as listing:
            children = [int(pid) for pid in listing.read().split()]
        if not children:
            return
        for pid in children:
            kill(pid, dead=False)


def _kill_all() -> None:
    """Kill every process of this namespace but this one and the first, the fork server, which the kernel protects."""
    if os.getppid() != 1:
        raise RuntimeError("only a child of a namespace's first process may kill all others")
    with contextlib.suppress(ProcessLookupError):
        os.kill(-1, signal.SIGKILL)
    with contextlib.suppress(ChildProcessError):
        while True:
            os.waitpid(-1, 0)


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


def _leave(*_: Any) -> NoReturn:
    """Kill what a child left behind and end. An exception would be lost where Python calls back around a fork."""
    _reap_orphans()
    os._exit(0)


def main(control: int, flavour: str, parent: int, folder: str) -> None:
    """Go behind the walls, load everything, then serve. `flavour` is one of fitness.jobs.JOBS.

    Triton decides for or against its interpreter when it is imported, so that is a flavour of its own.
    """
    die_with_parent()
    if os.getppid() != parent:
        sys.exit(0)
    os.nice(NICE)
    inside, why_not = namespaces.enter((__file__, folder), die_with_parent, flavour in WITH_DEVICE)
    adopt_orphans()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if "pid" not in inside:  # inside, the guard is told to end, and nobody else may tell this process anything
        signal.signal(signal.SIGTERM, _leave)
    kernel.prctl(kernel.PR_SET_DUMPABLE, 0)  # the same user may not read this process's memory
    try:
        walls, found = probe.examine(folder, inside, why_not)
        wire.send(control, [int(os.readlink("/proc/self")), standing.pack(found)])
    except (FileNotFoundError, BrokenPipeError):
        os._exit(0)  # the folder and the other side are gone: this server was ended while it started
    tempfile.tempdir = folder  # a server that is killed while it loads leaves nothing elsewhere
    jobs = _load(flavour)
    walls = replace(walls, files=profiles.python_files())
    try:
        Server(control, jobs, folder, walls, "pid" in inside).serve()
    finally:
        os._exit(0)  # torch's exit handlers take a second and have nothing to say here


def _load(flavour: str) -> Mapping[str, Job]:
    """Load torch, triton and the jobs; triton decides for or against its interpreter when it is imported."""
    if flavour == "interpreter":
        os.environ["TRITON_INTERPRET"] = "1"
    from fitness import jobs

    jobs.preload(flavour)
    gc.freeze()  # a collection in a child would copy every page it looks at
    return jobs.JOBS[flavour]
