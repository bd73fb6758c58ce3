"""Measures candidates on this machine's GPU: builders record and compile ahead while the device works on one program.

    submit --> sources --[builder threads, each with its own jail]--> built --[wait: the judge, on the device]--> Done

The device's processes and every jail are started by the thread that made the pool, because the kernel ends a child
when the thread that started it ends.
"""

import contextlib
import os
import queue
import signal
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from time import monotonic
from typing import Protocol

from evo_kernel.config import Settings
from evo_kernel.errors import RunError
from evo_kernel.pools import Done, InlinePool, Pool, child_limits, make_measuring_judge
from fitness import targets
from fitness.build import Builder, Built, Purpose, Refusal
from fitness.evaluation import Evaluation, Failure
from fitness.gpu.court import DeviceUnavailable
from fitness.jail import WorkerLost
from suites import Case, Task

PATIENCE_SECONDS = 5.0  # for a builder's thread to notice that its jail was killed


class Measurer(Protocol):
    """What judges on a device what others have built."""

    @property
    def edges(self) -> tuple[Case, ...]:
        """The edges that the device has memory for."""

    def measure(self, built: Built, against: Mapping[str, str], confirm: bool = False) -> Evaluation:
        """Judge a program beside its rivals."""

    def refusal(self, failure: Failure) -> Evaluation:
        """Return the verdict on a program that could not be built."""

    def pids(self) -> list[int]:
        """Return the processes."""

    def close(self) -> None:
        """End all processes."""


class Building(Protocol):
    """What records and compiles programs."""

    @property
    def pid(self) -> int | None:
        """The process that does."""

    def build(self, source: str, cases: tuple[Case, ...], edges: tuple[Case, ...]) -> Built:
        """Build a program; Refusal says why it cannot be."""

    def close(self) -> None:
        """End the process."""


@dataclass(frozen=True, slots=True)
class Order:
    """A source on its way to the device."""

    ticket: int
    source: str
    against: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Made:
    """What a builder has made of an order: something to measure, a failure, or neither when its jail was lost."""

    order: Order
    result: Built | Failure | None
    seconds: float
    lost: str = ""


class MeasuringPool:
    """One judge on one GPU, and builders that work ahead of it. Verdicts come in the order in which builds end."""

    def __init__(self, task: Task, judge: Measurer, builders: Sequence[Building]) -> None:
        self._cases, self._edges = task.cases, judge.edges
        self._judge, self._builders = judge, builders
        self._flying = 0
        self._closing = False
        self._orders: queue.SimpleQueue[Order | None] = queue.SimpleQueue()
        self._made: queue.SimpleQueue[Made] = queue.SimpleQueue()
        self._threads = [threading.Thread(target=self._work, args=(b,), daemon=True) for b in builders]
        for thread in self._threads:
            thread.start()

    def free(self) -> int:
        """Return how many more can be taken: one for each builder and one for the device."""
        return len(self._builders) + 1 - self._flying

    def submit(self, ticket: int, source: str, against: Mapping[str, str]) -> None:
        """Give a source to whichever builder is free first."""
        self._flying += 1
        self._orders.put(Order(ticket, source, against))

    def wait(self, seconds: float) -> list[Done]:
        """Measure the next program that is built, however long that takes."""
        if not self._flying:
            return []
        try:
            made = self._made.get(timeout=seconds)
        except queue.Empty:
            return []
        self._flying -= 1
        return [self._measured(made)]

    def pids(self) -> list[int]:
        """Return the processes, for those who watch or kill them."""
        return [*self._judge.pids(), *(b.pid for b in self._builders if b.pid)]

    def close(self) -> None:
        """End the builders, wherever they are, and the judge."""
        self._closing = True
        for _ in self._threads:
            self._orders.put(None)
        for builder in self._builders:
            if builder.pid is not None:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(builder.pid, signal.SIGKILL)  # its thread sees the channel end
        for thread in self._threads:
            thread.join(PATIENCE_SECONDS)
        for builder in self._builders:
            builder.close()
        self._judge.close()

    def _measured(self, made: Made) -> Done:
        """Judge what was built; what could not be built is a verdict too."""
        started = monotonic()
        ticket = made.order.ticket
        if made.result is None:
            return Done(ticket, None, made.seconds, made.lost)
        if isinstance(made.result, Failure):
            return Done(ticket, self._judge.refusal(made.result), made.seconds)
        try:
            evaluation = self._judge.measure(made.result, made.order.against)
        except WorkerLost as error:
            return Done(ticket, None, made.seconds + monotonic() - started, str(error))
        except DeviceUnavailable as error:
            raise RunError(f"the GPU cannot be used any more: {error}; resume when it can") from error
        return Done(ticket, evaluation, made.seconds + monotonic() - started)

    def _work(self, builder: Building) -> None:
        """Build one order after another until the pool closes."""
        while (order := self._orders.get()) is not None and not self._closing:
            started = monotonic()
            result, lost = build(builder, order.source, self._cases, self._edges)
            self._made.put(Made(order, result, monotonic() - started, lost))


def build(builder: Building, source: str, cases: tuple[Case, ...], edges: tuple[Case, ...]
          ) -> tuple[Built | Failure | None, str]:  # fmt: skip
    """Build a program: something to measure, why it cannot be, or nothing and how the jail was lost."""
    try:
        return builder.build(source, cases, edges), ""
    except Refusal as refused:
        return refused.failure, ""
    except WorkerLost as error:
        return None, str(error)


def make_builder(task: Task, settings: Settings) -> Builder:
    """Return a builder as the settings want it."""
    return Builder(task, targets.find(settings.target), child_limits(settings), Purpose(code=True))


def inline(task: Task, settings: Settings) -> Pool:
    """Return the pool of this process: one predicting judge, or builders ahead of the GPU."""
    if settings.basis != "measured":
        return InlinePool(task, settings)
    count = settings.workers or max(1, (os.cpu_count() or 2) - 2)  # the judge's two processes want a core each
    with contextlib.ExitStack() as opened:
        judge = opened.enter_context(contextlib.closing(make_measuring_judge(task, settings)))
        builders = [opened.enter_context(contextlib.closing(make_builder(task, settings))) for _ in range(count)]
        pool = MeasuringPool(task, judge, builders)
        opened.pop_all()
    return pool
