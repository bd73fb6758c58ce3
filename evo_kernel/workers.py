"""Ray: the same plain classes as actors, on this machine or a cluster. Only this file and gpu_workers.py import ray.

What is guaranteed: verdicts come back in any order, so two runs may ask different questions; but a program's
verdict is the same as inline, every request is a function of the journal before it, and the journal replays to the
state the actor had. A lost worker costs the attempts it was making; a lost Population is rebuilt from its journal.
"""

import contextlib
import logging
import os
import signal
import sys
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import ray
from ray.exceptions import RayTaskError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from archives.journal import JournalError
from evo_kernel import isolation
from evo_kernel.config import MACHINE, Settings
from evo_kernel.errors import EvoKernelError, RunError
from evo_kernel.gpu_actors import own_judge
from evo_kernel.gpu_workers import LOST, RESTARTS, MeasuringRayPool
from evo_kernel.pools import LOSSES, Done, Pool, loss, make_judge
from evo_kernel.population import Population
from evo_kernel.progress import Progress
from fitness import evaluation as evaluations
from fitness import scratch
from fitness.correctness import Limits
from fitness.judge import WorkerLost
from suites import Task, TaskError
from suites import task as tasks

logger = logging.getLogger(__name__)


class JudgeActor:
    """A judge in a process of its own."""

    def __init__(self, task: dict[str, Any], settings: dict[str, Any]) -> None:
        self._settings = Settings(**settings)
        self._judge = make_judge(tasks.unpack(task), self._settings)

    def judge(self, source: str) -> tuple[str, Any, float, Limits]:
        """Return a packed verdict, or say why there is none; and the limits, when they are new."""
        started = monotonic()
        value: Any
        try:
            isolation.require(self._judge.standing, self._settings.require_isolation)
            kind, value = "judged", evaluations.pack(self._judge.judge(source))
        except WorkerLost as error:
            kind, value = loss(error), str(error)
        except TaskError as error:
            kind, value = "task", str(error)
        except RunError as error:
            kind, value = "refused", str(error)
        return kind, value, monotonic() - started, self._judge.news()

    def pids(self) -> list[int]:
        """Return this process and its fork servers."""
        return [os.getpid(), *self._judge.pids()]


class RayPool:
    """Judges on as many actors as there are workers."""

    def __init__(self, task: Task, settings: Settings) -> None:
        count = settings.workers or max(1, int(ray.cluster_resources().get("CPU", 1)))
        share = min(1.0, ray.cluster_resources().get("CPU", 1) / count)  # more judges than cores is the person's choice
        actor = ray.remote(num_cpus=round(share, 3), max_restarts=-1)(JudgeActor)
        arguments = (tasks.pack(task), settings.model_dump())
        self._idle: list[Any] = []
        self._busy: dict[Any, tuple[int, Any]] = {}
        # a question to a judge that has not answered since it was started, or died -> that judge
        self._recovering = {judge.pids.remote(): judge for judge in (actor.remote(*arguments) for _ in range(count))}
        self._deaths = 0

    def free(self) -> int:
        """Return the number of idle judges."""
        return len(self._idle)

    def submit(self, ticket: int, source: str) -> None:
        """Give the source to an idle judge."""
        judge = self._idle.pop()
        self._busy[judge.judge.remote(source)] = (ticket, judge)

    def wait(self, seconds: float, against: Mapping[str, str] | None = None) -> list[Done]:
        """Return what is done; a judge that died gets nothing new until it answers again."""
        if not self._busy and not self._recovering:
            sleep(min(seconds, 0.05))
            return []
        ready, _ = ray.wait([*self._busy, *self._recovering], num_returns=1, timeout=seconds)
        for reference in ready:
            if reference in self._recovering:
                self._welcome_back(reference)
        return [self._collect(reference) for reference in ready if reference in self._busy]

    def _welcome_back(self, reference: Any) -> None:
        """Use a judge again if it answered; otherwise ask once more, but not for ever."""
        judge = self._recovering.pop(reference)
        try:
            ray.get(reference)
            self._idle.append(judge)
        except LOST as error:
            self._lost(judge, error)

    def _lost(self, judge: Any, error: Exception) -> None:
        """Ask a judge that died whether Ray has started it again."""
        self._deaths += 1
        if self._deaths > RESTARTS * (1 + len(self._idle) + len(self._busy) + len(self._recovering)):
            raise RunError(f"judges keep dying; the last: {error}. Is there enough memory?") from error
        sleep(0.2)
        self._recovering[judge.pids.remote()] = judge

    def _collect(self, reference: Any) -> Done:
        """Take one result and free its judge."""
        ticket, judge = self._busy.pop(reference)
        try:
            kind, value, seconds, limits = ray.get(reference)
        except LOST as error:
            self._lost(judge, error)
            return Done(ticket, None, 0.0, f"worker process died ({type(error).__name__})")
        self._idle.append(judge)
        if kind == "task":
            raise TaskError(value)
        if kind == "refused":
            raise RunError(value)
        if kind in LOSSES:
            return Done(ticket, None, seconds, value, limits, full=kind == "full")
        return Done(ticket, evaluations.unpack(value), seconds, limits=limits)

    def pids(self) -> list[int]:
        """Return the processes of the idle judges."""
        return [pid for judge in self._idle for pid in ray.get(judge.pids.remote())]

    def close(self) -> None:
        """Kill the judges; their fork servers die with them."""
        for judge in [*self._idle, *(j for _, j in self._busy.values()), *self._recovering.values()]:
            ray.kill(judge)
        self._idle, self._busy, self._recovering = [], {}, {}


def make_pool(task: Task, settings: Settings, secret: int | None = None) -> Pool:
    """Return judges that predict, or builders and GPUs that measure."""
    if settings.basis != "measured":
        return RayPool(task, settings)
    return MeasuringRayPool(task, settings, partial(own_judge, secret=secret))


class PopulationActor:
    """A Population in a process of its own; errors travel as values, so that they stay themselves."""

    def __init__(self, folder: str, settings: dict[str, object]) -> None:
        self._folder, self._settings = Path(folder), settings
        self._population: Population | None = None

    def advance(self, seconds: float) -> tuple[str, Any]:
        """Advance the run, opening it first; rebuilt from the journal when this process is a new one."""
        try:
            if self._population is None:
                self._population = Population(self._folder, make_pool, settings=self._settings)
            return "progress", self._population.advance(seconds)
        except (EvoKernelError, JournalError, TaskError) as error:
            return "error", error

    def pids(self) -> list[int]:
        """Return this process and the judges' that are idle."""
        pool = self._population._pool if self._population else None
        return [os.getpid(), *(pool.pids() if isinstance(pool, (RayPool, MeasuringRayPool)) else [])]

    def close(self) -> None:
        """Stop the workers and close the journal."""
        if self._population is not None:
            self._population.close()
            self._population = None


@dataclass
class RayDriver:
    """Drives a PopulationActor from the person's process, with the same `advance` and `close`."""

    folder: Path
    settings: Settings
    _actor: Any = None
    _losses: int = 0

    def __post_init__(self) -> None:
        update = {k: getattr(self.settings, k) for k in MACHINE}
        here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)  # the journal's disk
        actor = ray.remote(num_cpus=0, max_restarts=-1, scheduling_strategy=here)(PopulationActor)
        self._actor = actor.remote(str(self.folder.resolve()), update)

    def advance(self, seconds: float = 0.5) -> Progress:
        """Advance the run; when the actor was lost, wait for Ray to start it again."""
        while True:
            try:
                kind, value = ray.get(self._actor.advance.remote(seconds))
            except LOST as error:
                self._losses += 1
                if self._losses > RESTARTS:
                    raise RunError(f"the search process was lost {RESTARTS} times; resume the run") from error
                logger.warning("the search process was lost and is rebuilt from the journal")
                sleep(1.0)
                continue
            except RayTaskError as error:
                raise RunError(f"the search process failed: {error}") from error
            if kind == "error":
                raise value
            progress: Progress = value
            return progress

    def pids(self) -> list[int]:
        """Return the actors' processes, for those who watch or kill them."""
        found: list[int] = ray.get(self._actor.pids.remote())
        return found

    def close(self) -> None:
        """Stop the actor and leave the journal closed."""
        with contextlib.suppress(*LOST, ray.exceptions.GetTimeoutError):
            ray.get(self._actor.close.remote(), timeout=10)
        ray.kill(self._actor)


@contextlib.contextmanager
def cluster(address: str | None) -> Iterator[None]:
    """Join a cluster, or start the embedded one; leave it afterwards."""
    if address is None and (full := scratch.full()) is not None:
        raise RunError(f"Ray cannot start: {full}")  # it would wait for minutes, and end this process
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    logging.getLogger("ray").setLevel(logging.ERROR)  # it announces its defaults as warnings
    if ray.is_initialized():
        yield
        return
    terminated = signal.getsignal(signal.SIGTERM)
    try:
        ray.init(
            address=address or "local",
            include_dashboard=False if address is None else None,
            log_to_driver=False,
            logging_level=logging.ERROR,
            configure_logging=False,
        )
    except (OSError, RuntimeError, ValueError) as error:
        hint = "; if it asks for a token, set RAY_AUTH_MODE=token" if address else ""
        raise RunError(f"cannot join the Ray cluster at {address or 'this machine'}: {error}{hint}") from error
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, terminated)  # ray puts a handler of its own there, which aborts
    try:
        with contextlib.redirect_stdout(sys.stderr):  # ray prints its news to stdout, which is for results
            yield
    finally:
        ray.shutdown()
