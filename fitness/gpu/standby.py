"""Starts the two processes of one device up to where they need it, outside any turn, and keeps a bench ready.

Importing and starting the driver take most of a start and do no work on the device, so that nobody's clock need wait
for them. The rest is done when a process is opened: its context, its memory, and what is compiled there.
"""

from typing import Any

from fitness.gpu.errors import DeviceUnavailable, NotStarted
from fitness.gpu.process import Lost, Process
from fitness.targets import Target

START_SECONDS = 120.0  # for each of the two steps


class Standby:
    """Makes processes of one device ready; used by one thread, with which they end.

    While a bench works the next one waits. It is as fresh as any: it never saw a candidate, and has neither a context
    nor memory of the device before it is opened, so that ending it needs no turn.
    """

    def __init__(self, target: Target, index: int, slot: str) -> None:
        place = {"backend": target.backend, "index": index}
        self._referee = {**place, "arch": target.arch, "wave": target.wave}
        self._bench = {**place, "slot": slot, "quiet": True}
        self._spare: Process | None = None

    def referee(self) -> Process:
        """Start a referee, and a bench beside it, and wait for the referee; outside any turn."""
        started = Process("fitness.gpu.referee", self._referee)
        self.prepare()
        return _greeted(started)

    def bench(self) -> Process:
        """Give the bench that waits away, or a new one where it died; outside any turn."""
        taken, self._spare = self._ready(), None
        return _greeted(taken)

    def prepare(self) -> None:
        """Have a bench get ready, unless one is; this waits for nothing."""
        self._spare = self._ready()

    def pids(self) -> list[int]:
        """Return the process that waits, if one does."""
        return [] if self._spare is None else [self._spare.pid]

    def close(self) -> None:
        """End the bench that waits."""
        if self._spare is not None:
            self._spare.kill()
            self._spare = None

    def _ready(self) -> Process:
        """Return the bench that waits if it lives, else one that was just started."""
        if self._spare is not None and self._spare.alive:
            return self._spare
        self.close()
        return Process("fitness.gpu.bench", self._bench)


def opened(process: Process, *arguments: Any) -> Any:
    """Have a process take its device up, within a turn; return what it says of it."""
    return _answer(process, "open", *arguments)


def _greeted(process: Process) -> Process:
    """Wait until a process is ready to be opened."""
    _answer(process)
    return process


def _answer(process: Process, *question: Any) -> Any:
    """Take the answer to a question, or the greeting that comes before any; a process that fails here is ended."""
    try:
        if question:
            process.send(*question)
        state, *rest = process.answer(START_SECONDS)
    except Lost as error:
        process.kill()
        kind = DeviceUnavailable if error.hung else NotStarted
        raise kind(f"a process for the GPU could not start: {error}") from error
    if state != "ok":
        process.kill()
        raise DeviceUnavailable(rest[1])
    return rest[0]
