"""What the benchmarks of judging share: builders on the CPU, ahead of one judge on the device.

Each builder is a process with a jail of its own, as over Ray: what it builds comes as bytes.
"""

from concurrent.futures import Future, ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any

from fitness import build, targets
from fitness.build import Builder, Purpose, Refusal
from fitness.child import Limits
from fitness.evaluation import Evaluation, Failure
from fitness.jail import Jail
from fitness.measure import MeasuringJudge
from fitness.targets import Target
from fitness.verification import edges
from suites import Task
from suites import task as tasks

_own: dict[str, Any] = {}  # of a builder's process


class Line:
    """Builders, ready to work when this is made."""

    def __init__(self, count: int, limits: Limits, imports: bool = True) -> None:
        self._processes = ProcessPoolExecutor(count, get_context("spawn"), _begin, (limits, imports))
        for ready in [self._processes.submit(_ready) for _ in range(count)]:
            ready.result()

    def submit(self, task: Task, target: Target, source: str) -> Future:
        """Build a program as soon as a builder is free; the result is a Built as bytes, or the failure."""
        return self._processes.submit(_build, tasks.pack(task), target.name, source)

    def close(self) -> None:
        """Build nothing more."""
        self._processes.shutdown(cancel_futures=True)


def finish(judge: MeasuringJudge, made: bytes | Failure, incumbent: str, confirm: bool | None = None) -> Evaluation:
    """Judge what was built, or say why it was not."""
    if isinstance(made, Failure):
        return judge.refusal(made)
    return judge.measure(build.unpack(made), {"incumbent": incumbent}, confirm)


def _begin(limits: Limits, imports: bool) -> None:
    _own.update(jail=Jail("compiled"), limits=limits, purpose=Purpose(code=True, imports=imports))
    _own["jail"].start()


def _ready() -> bool:
    """Wait until the jail stands."""
    return bool(_own["jail"].standing)


def _build(packed: Any, target: str, source: str) -> bytes | Failure:
    task = tasks.unpack(packed)
    builder = Builder(task, targets.find(target), _own["limits"], _own["purpose"], _own["jail"])
    try:
        return build.pack(builder.build(source, task.cases, edges(task)))
    except Refusal as refused:
        return refused.failure
