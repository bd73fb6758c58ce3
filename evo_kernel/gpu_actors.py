"""What works for a measured run in processes of its own: builders without a GPU, judges that share one.

Plain classes that Ray makes actors of. Errors travel as values, so that they stay themselves.
"""

import os
from collections.abc import Callable
from time import monotonic
from typing import Any

from evo_kernel import isolation
from evo_kernel.config import Settings
from evo_kernel.errors import RunError
from evo_kernel.measuring import Measurer, make_builder
from evo_kernel.measuring import build as build_one
from evo_kernel.pools import loss, make_measuring_judge
from fitness import build as builds
from fitness import evaluation as evaluations
from fitness.correctness import Limits
from fitness.evaluation import Failure, Stage
from fitness.gpu.court import DeviceUnavailable
from fitness.jail import WorkerLost
from suites import Task, TaskError
from suites import task as tasks

Answer = tuple[str, Any, float, Limits]  # how it went, the verdict or why there is none, seconds, new limits
MakeJudge = Callable[[Task, Settings, bool], Measurer]  # the last: whether it is the first on its GPU


class BuilderActor:
    """A builder in a process of its own; needs no GPU."""

    def __init__(self, task: dict[str, Any], settings: dict[str, Any]) -> None:
        self._task, self._settings = tasks.unpack(task), Settings(**settings)
        self._builder = make_builder(self._task, self._settings)

    def ready(self) -> tuple[str, Any]:
        """Return this process and its fork server, or why it may not build."""
        try:
            isolation.require(self._builder.jail.standing, self._settings.require_isolation)
        except (RunError, WorkerLost) as error:
            return "unavailable", str(error)
        return "ready", [os.getpid(), *([self._builder.pid] if self._builder.pid else [])]

    def build(self, source: str, edges: tuple[str, ...]) -> tuple[Any, bytes]:
        """Return how it went, and what was built."""
        started = monotonic()
        result = build_one(self._builder, source, self._task.cases, tuple(map(self._task.case, edges)))
        seconds = monotonic() - started
        if isinstance(result, WorkerLost):
            return [loss(result), str(result), seconds], b""
        if isinstance(result, Failure):
            return [
                "refused",
                [result.stage.value, result.kind, result.message, result.trace, result.case],
                seconds,
            ], b""
        return ["built", None, seconds], builds.pack(result)


class MeasureActor:
    """A judge on the GPU that Ray gave this process; others of the run may share it."""

    def __init__(self, task: dict[str, Any], settings: dict[str, Any], make: MakeJudge, first: bool = True) -> None:
        self._task, self._settings, self._make, self._first = tasks.unpack(task), Settings(**settings), make, first
        self._judge: Measurer | None = None

    def ready(self) -> tuple[str, Any]:
        """Start the judge; return its processes and the edges that its device can hold."""
        try:
            if self._judge is None:
                self._judge = self._make(self._task, self._settings, self._first)
            return "ready", [[os.getpid(), *self._judge.pids()], [e.name for e in self._judge.edges]]
        except (RunError, TaskError) as error:
            return "unavailable", str(error)

    def measure(self, built: bytes, against: dict[str, str]) -> Answer:
        """Return a packed verdict, or say why there is none. A builder's child had a hand in what was built."""
        try:
            with builds.understood(Stage.COMPILE):
                found = builds.unpack(built)
        except builds.Refusal as refused:
            failure = refused.failure
            return self._answer(lambda j: j.refusal(failure))
        return self._answer(lambda j: j.measure(found, against))

    def refuse(self, failure: list[Any]) -> Answer:
        """Return the packed verdict on what could not be built."""
        stage, *rest = failure
        return self._answer(lambda j: j.refusal(Failure(Stage(stage), *rest)))

    def _answer(self, question: Callable[[Measurer], evaluations.Evaluation]) -> Answer:
        started = monotonic()
        try:
            if self._judge is None:
                raise WorkerLost("the process was started again in between")
            found = evaluations.pack(question(self._judge))
            return "judged", found, monotonic() - started, self._judge.news()
        except WorkerLost as error:
            return loss(error), str(error), monotonic() - started, {}
        except TaskError as error:
            return "task", str(error), monotonic() - started, {}
        except DeviceUnavailable as error:
            return "unavailable", str(error), monotonic() - started, {}


def own_judge(task: Task, settings: Settings, first: bool, secret: int | None = None) -> Measurer:
    """Return a judge on the one GPU that Ray lets this process see, and others of the run beside it."""
    judge = make_measuring_judge(task, settings, index=0, judges=settings.judges, warn=first, secret=secret)
    isolation.require(judge.standing, settings.require_isolation)
    return judge
