"""Measures over Ray: builders on any node record and compile, judges on the GPUs measure what they give.

    submit --> BuilderActor --(status to the pool; what was built, by reference)--> MeasureActor --> Done

What was built goes from builder to GPU without passing through the pool. A lost builder or a lost GPU actor costs the
attempts it was making, and gets nothing new until it answers again.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from time import sleep
from typing import Any

import ray
from ray.exceptions import ActorDiedError, ActorUnavailableError, RayActorError, RayError, RayTaskError

from evo_kernel.config import Settings
from evo_kernel.errors import RunError
from evo_kernel.gpu_actors import BuilderActor, MakeJudge, MeasureActor, own_judge
from evo_kernel.pools import LOSSES, Done
from fitness import evaluation as evaluations
from suites import Task, TaskError
from suites import task as tasks

LOST = (ActorDiedError, ActorUnavailableError, RayActorError)
RESTARTS = 20  # of one actor, before the run is given up
DEPTH = 2  # programs at one judge: the next is there when the one before is done


@dataclass(frozen=True, slots=True)
class Attempt:
    """One source on its way, and seconds spent so far."""

    ticket: int
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Waiting:
    """Something for a GPU: what was built, by reference, or why it could not be."""

    attempt: Attempt
    built: Any = None
    failure: list[Any] | None = None


class MeasuringRayPool:
    """Builders on all cores of a cluster, judges on all its GPUs: some on each, where only the clock runs alone."""

    def __init__(self, task: Task, settings: Settings, make: MakeJudge = own_judge) -> None:
        resources = ray.cluster_resources()
        cores, gpus = int(resources.get("CPU", 1)), int(resources.get("GPU", 0))
        if not gpus:
            raise RunError(
                "Ray sees no GPU on its nodes: use --pool inline on a machine with one, or --basis predicted"
            )
        count = settings.workers or max(1, cores - gpus)
        share = round(min(1.0, cores / count), 3)  # more builders than cores is the person's choice
        arguments = (tasks.pack(task), settings.model_dump())
        builder = ray.remote(num_cpus=share, num_gpus=0, max_restarts=-1)(BuilderActor)
        part = round(1 / settings.judges, 4) if settings.judges > 1 else 1
        judge = ray.remote(num_cpus=0, num_gpus=part, max_restarts=-1)(MeasureActor)
        self._builders = [builder.remote(*arguments) for _ in range(count)]
        self._judges = [judge.remote(*arguments, make, n % settings.judges == 0) for n in range(gpus * settings.judges)]
        self._edges: tuple[str, ...] | None = None  # known when the first GPU answers
        self._idle: list[Any] = []
        self._building: dict[Any, tuple[Attempt, Any, Any]] = {}  # status -> attempt, builder, what was built
        self._waiting: list[Waiting] = []
        self._measuring: dict[Any, tuple[Attempt, Any]] = {}
        self._load: dict[Any, int] = {}  # by judge that is ready: programs at it
        # a question to an actor that has not answered since it was started, or died -> that actor
        self._greeting = {a.ready.remote(): a for a in (*self._builders, *self._judges)}
        self._pids: dict[Any, list[int]] = {}
        self._deaths = 0

    def free(self) -> int:
        """Return how many more can be taken: idle builders, unless the GPUs are behind."""
        if self._edges is None:
            return 0
        flying = len(self._building) + len(self._waiting) + len(self._measuring)
        return max(0, min(len(self._idle), len(self._builders) + DEPTH * len(self._judges) - flying))

    def submit(self, ticket: int, source: str) -> None:
        """Give the source to an idle builder."""
        builder = self._idle.pop()
        status, built = builder.build.options(num_returns=2).remote(source, self._edges)
        self._building[status] = (Attempt(ticket), builder, built)

    def wait(self, seconds: float, against: Mapping[str, str] | None = None) -> list[Done]:
        """Return what is done; what was built goes on to a GPU."""
        known = [*self._measuring, *self._building, *self._greeting]
        if not known:
            sleep(min(seconds, 0.05))
            return []
        ready, _ = ray.wait(known, num_returns=1, timeout=seconds)
        done = [one for reference in ready for one in self._take(reference)]
        self._feed(dict(against or {}))
        return done

    def pids(self) -> list[int]:
        """Return the processes of all actors that have answered."""
        return [pid for pids in self._pids.values() for pid in pids]

    def close(self) -> None:
        """Kill all actors; their jails and devices' processes die with them."""
        for actor in (*self._builders, *self._judges):
            ray.kill(actor)
        self._builders, self._judges, self._idle = [], [], []
        self._building, self._measuring, self._greeting, self._load = {}, {}, {}, {}

    def _take(self, reference: Any) -> list[Done]:
        """Deal with one answer, whatever it answers."""
        if reference in self._greeting:
            self._welcome(reference)
            return []
        if reference in self._building:
            return self._built(reference)
        return [self._measured(reference)]

    def _welcome(self, reference: Any) -> None:
        """Use an actor that has answered; ask one that died again, but not for ever."""
        actor = self._greeting.pop(reference)
        try:
            state, told = ray.get(reference)
        except LOST as error:
            self._lost(actor, error)
            return
        if actor in self._builders:
            if state == "unavailable":
                raise RunError(told)
            self._pids[actor] = told
            self._idle.append(actor)
            return
        if state == "unavailable":
            self._judges.remove(actor)
            ray.kill(actor)
            if not self._judges:
                raise RunError(f"no GPU of the Ray cluster can be used: {told}")
            return
        self._pids[actor], edges = told
        self._load[actor] = 0
        # what one device cannot hold is left out on all, so that any may measure what any builder built
        self._edges = tuple(edges) if self._edges is None else tuple(e for e in self._edges if e in edges)

    def _lost(self, actor: Any, error: Exception) -> None:
        """Ask an actor that died whether Ray has started it again."""
        self._pids.pop(actor, None)
        self._load.pop(actor, None)
        self._deaths += 1
        if self._deaths > RESTARTS * (len(self._builders) + len(self._judges)):
            raise RunError(f"workers keep dying; the last: {error}. Is there enough memory?") from error
        if actor not in self._greeting.values():
            sleep(0.2)
            self._greeting[actor.ready.remote()] = actor

    def _built(self, reference: Any) -> list[Done]:
        """Take a builder's word and free it."""
        attempt, builder, built = self._building.pop(reference)
        try:
            kind, told, seconds = ray.get(reference)
        except LOST as error:
            self._lost(builder, error)
            return [Done(attempt.ticket, None, 0.0, f"worker process died ({type(error).__name__})")]
        self._idle.append(builder)
        attempt = Attempt(attempt.ticket, seconds)
        if kind in LOSSES:
            return [Done(attempt.ticket, None, seconds, told, full=kind == "full")]
        self._waiting.append(Waiting(attempt, built if kind == "built" else None, told))
        return []

    def _feed(self, against: dict[str, str]) -> None:
        """Give what waits to the GPUs that have least to do."""
        while self._waiting and self._load:
            judge = min(self._load, key=lambda j: self._load[j])
            if self._load[judge] >= DEPTH:
                return
            one = self._waiting.pop(0)
            self._load[judge] += 1
            if one.failure is None:
                reference = judge.measure.remote(one.built, against)
            else:
                reference = judge.refuse.remote(one.failure)
            self._measuring[reference] = (one.attempt, judge)

    def _measured(self, reference: Any) -> Done:
        """Take one verdict."""
        attempt, judge = self._measuring.pop(reference)
        try:
            kind, told, seconds, limits = ray.get(reference)
        except LOST as error:
            self._lost(judge, error)
            return Done(attempt.ticket, None, attempt.seconds, f"the GPU's process died ({type(error).__name__})")
        except RayTaskError as error:
            if not isinstance(error.cause, RayError):
                raise
            if judge in self._load:
                self._load[judge] -= 1  # what was built was on a node that is gone
            return Done(attempt.ticket, None, attempt.seconds, f"what was built was lost ({error.cause})")
        if judge in self._load:
            self._load[judge] -= 1
        spent = attempt.seconds + seconds
        if kind == "task":
            raise TaskError(told)
        if kind == "unavailable":
            raise RunError(f"the GPU cannot be used any more: {told}; resume when it can")
        if kind in LOSSES:
            self._again(judge)
            return Done(attempt.ticket, None, spent, told, full=kind == "full")
        return Done(attempt.ticket, evaluations.unpack(told), spent, limits=limits, gpu_seconds=seconds)

    def _again(self, judge: Any) -> None:
        """Have a judge that may be a new process start its device before it gets more."""
        self._load.pop(judge, None)
        if judge not in self._greeting.values():
            self._greeting[judge.ready.remote()] = judge
