"""What the benchmarks of judging share: builders in jails on the CPU, ahead of one judge on the device."""

import queue
from concurrent.futures import Future, ThreadPoolExecutor

from fitness.build import Builder, Built, Purpose, Refusal
from fitness.child import Limits
from fitness.evaluation import Evaluation, Failure
from fitness.jail import Jail
from fitness.measure import MeasuringJudge
from fitness.targets import Target
from fitness.verification import edges
from suites import Case, Task


class Line:
    """Builders on threads, each with a jail of its own, ahead of one judge on the device."""

    def __init__(self, jails: list[Jail], limits: Limits, imports: bool = True) -> None:
        self._limits, self._purpose = limits, Purpose(code=True, imports=imports)
        self._jails: queue.SimpleQueue[Jail] = queue.SimpleQueue()
        for jail in jails:
            self._jails.put(jail)
        self._threads = ThreadPoolExecutor(len(jails))

    def submit(self, task: Task, target: Target, source: str) -> Future:
        """Build a program as soon as a jail is free; the result is a Built, or the failure."""
        return self._threads.submit(self._build, task, target, edges(task), source)

    def close(self) -> None:
        """Build nothing more."""
        self._threads.shutdown(cancel_futures=True)

    def _build(self, task: Task, target: Target, more: tuple[Case, ...], source: str) -> Built | Failure:
        jail = self._jails.get()
        try:
            return Builder(task, target, self._limits, self._purpose, jail).build(source, task.cases, more)
        except Refusal as refused:
            return refused.failure
        finally:
            self._jails.put(jail)


def finish(judge: MeasuringJudge, made: Built | Failure, incumbent: str, confirm: bool | None = None) -> Evaluation:
    """Judge what was built, or say why it was not."""
    return judge.measure(made, {"incumbent": incumbent}, confirm) if isinstance(made, Built) else judge.refusal(made)
