"""Two processes on one device, a bench and a referee, as one thing to ask: replaced when they are lost."""

import contextlib
import logging
import os
import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from fitness.gpu import discover
from fitness.gpu.errors import Crowded, DeviceUnavailable, Fault, MachineFailed, NoRoom, NotStarted, RefereeFailed
from fitness.gpu.process import Lost, Process
from fitness.gpu.standby import Standby, opened
from fitness.gpu.turns import Turns
from fitness.targets import Target
from suites import Task
from suites import task as tasks

logger = logging.getLogger(__name__)

WITHOUT_DEVICE = ("begin", "limit", "names", "news")  # what a referee does in no turn
REFEREE_SECONDS = 300.0  # the first trial of a case computes its truth
ARENA_SHARE, REFEREE_SHARE = 0.25, 0.4  # of the device's memory, of one judge that has it alone


@dataclass(frozen=True, slots=True)
class Device:
    """The device as its driver and torch describe it."""

    name: str
    arch: str | int
    cache: int  # bytes of last-level cache
    units: int
    memory: int
    torch: str


class Pair:
    """Starts, asks, kills and replaces the two processes of one device, for one task after another.

    `judges`: how many such pairs are to share the device; each takes that part of its memory, and they take turns.
    """

    def __init__(self, target: Target, index: int = 0, seconds: float = 10.0, judges: int = 1) -> None:
        self._target, self._index, self._seconds, self._judges = target, index, seconds, judges
        self._slot = discover.place(target.backend, index)
        self._turns = Turns(self._slot)
        self._standby = Standby(target, index, self._slot)
        self._rng = random.Random(os.urandom(16))
        self._begun: tuple[Task, int] | None = None
        self._names: dict[str, list[str]] = {}  # trials of a case
        self._loaded: set[str] = set()  # machine code that this bench has
        self._bench: Process | None = None
        self._referee: Process | None = None
        self._arena = 0
        self._pending = False  # whether the referee was asked something that it has not answered yet
        self._turn = contextlib.ExitStack()  # in which it was asked
        self._device: Device | None = None
        self.faults = 0

    @property
    def device(self) -> Device:
        """The device, once it was started."""
        if self._device is None:
            raise DeviceUnavailable("the device was not started")
        return self._device

    @property
    def room(self) -> int:
        """Bytes that a program's buffers may take: less where several judges, or strangers, share the device."""
        return self._arena

    def start(self) -> None:
        """Start both processes; DeviceUnavailable says in one line why there is no judging here, and leaves none."""
        try:
            if self._referee is None:
                self._start_referee()
            if self._bench is None:
                self._start_bench()
        except DeviceUnavailable:
            self.close()
            raise

    def _start_referee(self) -> None:
        """Start a referee, refuse a device that is not the target's, and begin what was begun."""
        self._referee = self._standby.referee()
        with self._turns.alone():
            name, arch, cache, units, memory, version = opened(self._referee)
        self._device = Device(name, arch, max(cache, self._target.cache_mb << 20), units, memory, version)
        if arch != self._target.arch:
            raise DeviceUnavailable(
                f"this GPU is {name} ({_arch(arch)}); it cannot measure for {self._target.name} "
                f"({_arch(self._target.arch)}): choose its own target, or predict without a GPU"
            )
        own = discover.sheet(arch, name)
        if own is not None and own.name != self._target.name:
            raise DeviceUnavailable(
                f"this GPU is {name}, whose target is {own.name}: it cannot measure for {self._target.name}"
            )
        self._ask("limit", int(memory * REFEREE_SHARE / self._judges), self._judges)
        if self._begun is not None:
            self.begin(*self._begun)

    def _start_bench(self) -> None:
        """Have a bench, and let the next one get ready; one that died while it waited is replaced once."""
        try:
            self._open_bench()
        except NotStarted as error:
            logger.warning("another takes its place: %s", error)
            self._open_bench()
        self._standby.prepare()

    def _open_bench(self) -> None:
        """Open a bench that is ready, and have the referee map its memory."""
        size = int(self.device.memory * ARENA_SHARE / self._judges) >> 20 << 20
        self._bench = self._standby.bench()
        with self._turns.alone():
            _, free, _, self._arena, handle = opened(self._bench, size)
            self._ask("map", handle, self._arena)
        self.free = free + self._arena

    def begin(self, task: Task, seed: int) -> None:
        """Take up a task, or the same with other data; whoever knows the seed can know the inputs."""
        self._begun = (task, seed)
        self._names.clear()
        self._ask("begin", tasks.pack(task), seed)

    @property
    def task(self) -> Task:
        """The task that was begun."""
        if self._begun is None:
            raise RefereeFailed("no task was begun")
        return self._begun[0]

    def close(self) -> None:
        """End all processes; the device's memory comes back with them."""
        self._standby.close()
        self._kill_referee()
        self._kill_bench()
        self._turns.close()

    def drop_bench(self) -> None:
        """End the bench: the next question opens a fresh one."""
        if self._bench is not None:
            with self._turns.alone():
                self._kill_bench()
                if self._referee is not None:
                    self._ask("unmap")

    def _kill_bench(self) -> None:
        self._loaded.clear()
        if self._bench is not None:
            with self._turns.alone():
                self._bench.kill()
            self._bench = None

    def _kill_referee(self) -> None:
        if self._referee is not None:
            with self._turns.alone():  # that in which it was asked, if it was: what hangs may be at work there
                self._referee.kill()
            self._referee = None
        self._pending = False
        self._turn.close()

    def pids(self) -> list[int]:
        """Return the processes, for those who watch or kill them."""
        return [p.pid for p in (self._bench, self._referee) if p is not None] + self._standby.pids()

    def _ask(self, *question: Any) -> Any:
        """Ask the referee; what goes wrong there is the task's fault or the machine's."""
        self._ask_later(*question)
        return self._answered()

    @contextlib.contextmanager
    def _asking(self, *question: Any) -> Iterator[None]:
        """Ask the referee something and do something else meanwhile; its answer is taken whatever happens."""
        self._ask_later(*question)
        try:
            yield
        finally:
            if self._pending:
                self._answered()

    def _ask_later(self, *question: Any) -> None:
        """Ask the referee and go on; `_answered` takes the answer."""
        if self._pending:
            self._answered()
        if self._referee is None:
            raise MachineFailed("the referee is gone")
        if question[0] not in WITHOUT_DEVICE:
            self._turn.enter_context(self._turns.alone())
        try:
            self._referee.send(*question)
        except Lost as error:
            raise self._referee_lost(error) from error
        self._pending = True

    def _answered(self) -> Any:
        """Take the referee's answer to the last question."""
        self._pending = False
        try:
            if self._referee is None:
                raise MachineFailed("the referee is gone")
            state, *rest = self._referee.answer(REFEREE_SECONDS)
        except Lost as error:
            raise self._referee_lost(error) from error
        finally:
            self._turn.close()
        if state != "ok":
            kind, message = rest
            self._recover()
            known = {"no-device": DeviceUnavailable, "memory": NoRoom, "crowded": Crowded, "question": MachineFailed}
            raise known.get(kind, RefereeFailed)(message)
        return rest[0]

    def _recover(self) -> None:
        """End the bench, whose memory the referee maps, and give back what the referee holds."""
        with self._turns.alone():  # it waits for the device, and must not do so beside another's clock
            self._kill_bench()
            try:
                if self._referee is not None:
                    self._referee.ask("forget", seconds=REFEREE_SECONDS)
            except Lost:  # its answer, if one came later, would be taken for another's
                self._kill_referee()

    def _referee_lost(self, error: Lost) -> MachineFailed:
        self._kill_bench()
        self._kill_referee()
        return MachineFailed(f"the referee was lost: {error}")

    def _run(self, *question: Any, limit: float | None = None, patience: float | None = None) -> Any:
        """Ask the bench; after any fault it is replaced, because a context that saw one cannot be trusted.

        The bench itself ends what runs longer than `limit`; `patience` is for a bench that says nothing.
        """
        self.start()
        assert self._bench is not None
        limit = limit or self._seconds
        with self._turns.alone():
            try:
                state, *rest = self._bench.ask(*question, seconds=(patience or limit) + 5.0)
            except Lost as error:
                state, rest = "lost", [error]
            if state != "ok" and rest[0] != "plan":
                self._kill_bench()  # before anybody else's turn: what hangs would run on beside them
        if state == "ok":
            return rest[0]
        if state == "lost":
            self._gone()
            if rest[0].hung:
                raise Fault("timeout", f"did not finish on the device within {limit:g} s") from rest[0]
            raise Fault("crash", f"the process that ran it died: {rest[0]}") from rest[0]
        kind, message, step = rest
        if kind != "plan":
            self._gone()
        if kind == "bench":
            raise MachineFailed(f"the bench failed: {message}")
        if kind == "timeout":
            message = f"did not finish on the device within {limit:g} s"
        raise Fault(kind, message, step)

    def _gone(self) -> None:
        """Count a bench that saw a fault and was killed; whoever needs one next starts it, outside this turn."""
        self.faults += 1
        if self._referee is not None:
            self._ask("unmap")


def _arch(arch: str | int) -> str:
    return arch if isinstance(arch, str) else f"sm_{arch}"
