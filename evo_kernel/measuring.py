"""Measures candidates on this machine's GPU: builders record and compile ahead while the device works on one program.

    submit --> sources --[builder threads, each with its own jail]--> built --[wait: the judge, on the device]--> Done

The device's processes and every jail are started by the thread that made the pool, because the kernel ends a child
when the thread that started it ends.
"""

import contextlib
import os
import queue
import signal
from collections.abc import Mapping, Sequence
from concurrent import futures
from dataclasses import dataclass
from time import monotonic, sleep
from typing import Protocol

from evo_kernel.config import Settings
from evo_kernel.errors import RunError
from evo_kernel.pools import Done, InlinePool, Pool, child_limits, make_measuring_judge
from fitness import targets
from fitness.build import Builder, Built, Purpose, Refusal
from fitness.correctness import Limits
from fitness.evaluation import Evaluation, Failure
from fitness.gpu.court import DeviceUnavailable
from fitness.jail import NoRoom, WorkerLost
from fitness.kernels import Kernels
from suites import Case, Task


class Measurer(Protocol):
    """What judges on a device what others have built."""

    @property
    def edges(self) -> tuple[Case, ...]:
        """The edges that the device has memory for."""

    def measure(self, built: Built, against: Mapping[str, str], confirm: bool | None = None) -> Evaluation:
        """Judge a program beside its rivals."""

    def refusal(self, failure: Failure) -> Evaluation:
        """Return the verdict on a program that could not be built."""

    def news(self) -> Limits:
        """Return the limits that were computed since this was last asked."""

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
class Made:
    """What a builder has made: something to measure, a failure, or how its jail was lost."""

    result: Built | Failure | WorkerLost
    seconds: float


class MeasuringPool:
    """One judge on one GPU, and builders that work ahead of it. Verdicts come in the order in which builds end."""

    def __init__(self, task: Task, judge: Measurer, builders: Sequence[Building]) -> None:
        self._cases, self._edges = task.cases, judge.edges
        self._judge, self._builders = judge, builders
        self._threads = futures.ThreadPoolExecutor(len(builders))
        self._idle: queue.SimpleQueue[Building] = queue.SimpleQueue()
        for builder in builders:
            self._idle.put(builder)
        self._flying: dict[futures.Future[Made], int] = {}  # tickets

    def free(self) -> int:
        """Return how many more can be taken: one for each builder and one for the device."""
        return len(self._builders) + 1 - len(self._flying)

    def submit(self, ticket: int, source: str) -> None:
        """Give a source to whichever builder is free first."""
        self._flying[self._threads.submit(self._make, source)] = ticket

    def wait(self, seconds: float, against: Mapping[str, str] | None = None) -> list[Done]:
        """Measure the next program that is built, however long that takes."""
        if not self._flying:
            sleep(min(seconds, 0.05))  # nothing was given: who asks again and again would take a core
        futures.wait(self._flying, seconds, futures.FIRST_COMPLETED)
        built = next((f for f in self._flying if f.done()), None)
        return [] if built is None else [self._measured(self._flying.pop(built), built.result(), against or {})]

    def pids(self) -> list[int]:
        """Return the processes, for those who watch or kill them."""
        return [*self._judge.pids(), *(b.pid for b in self._builders if b.pid)]

    def close(self) -> None:
        """End the builders, wherever they are, and the judge."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        for builder in self._builders:
            if builder.pid is not None:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(builder.pid, signal.SIGKILL)  # its thread sees the channel end
        self._threads.shutdown()
        for builder in self._builders:
            builder.close()
        self._judge.close()

    def _make(self, source: str) -> Made:
        """Build a source with a builder that nobody uses."""
        builder, started = self._idle.get(), monotonic()
        try:
            result = build(builder, source, self._cases, self._edges)
        finally:
            self._idle.put(builder)
        return Made(result, monotonic() - started)

    def _measured(self, ticket: int, made: Made, against: Mapping[str, str]) -> Done:
        """Judge what was built; what could not be built is a verdict too."""
        started = monotonic()
        if isinstance(made.result, WorkerLost):
            return Done(ticket, None, made.seconds, str(made.result), full=isinstance(made.result, NoRoom))
        if isinstance(made.result, Failure):
            return Done(ticket, self._judge.refusal(made.result), made.seconds)
        try:
            evaluation, limits = self._judge.measure(made.result, against), self._judge.news()
        except WorkerLost as error:
            spent = made.seconds + monotonic() - started
            return Done(ticket, None, spent, str(error), full=isinstance(error, NoRoom))
        except DeviceUnavailable as error:
            raise RunError(f"the GPU cannot be used any more: {error}; resume when it can") from error
        on_device = monotonic() - started
        return Done(ticket, evaluation, made.seconds + on_device, limits=limits, gpu_seconds=on_device)


def build(builder: Building, source: str, cases: tuple[Case, ...], edges: tuple[Case, ...]
          ) -> Built | Failure | WorkerLost:  # fmt: skip
    """Build a program: something to measure, why it cannot be, or how the jail was lost."""
    try:
        return builder.build(source, cases, edges)
    except Refusal as refused:
        return refused.failure
    except WorkerLost as error:
        return error


def make_builder(task: Task, settings: Settings, kernels: Kernels | None = None) -> Builder:
    """Return a builder as the settings want it; those that share `kernels` compile none that another has compiled."""
    return Builder(task, targets.find(settings.target), child_limits(settings), Purpose(code=True), kernels=kernels)


def inline(task: Task, settings: Settings, secret: int | None = None) -> Pool:
    """Return the pool of this process: one judge that predicts or is in open mode, or builders ahead of the GPU."""
    if settings.basis != "measured" or settings.mode == "open":
        return InlinePool(task, settings, secret)
    count = settings.workers or max(1, (os.cpu_count() or 2) - 2)  # the judge's two processes want a core each
    with contextlib.ExitStack() as opened:
        # builders first: they load torch and triton while the device starts
        kernels = Kernels()
        made = (make_builder(task, settings, kernels) for _ in range(count))
        builders = [opened.enter_context(contextlib.closing(builder)) for builder in made]
        judge = opened.enter_context(contextlib.closing(make_measuring_judge(task, settings, secret=secret)))
        pool = MeasuringPool(task, judge, builders)
        opened.pop_all()
    return pool
