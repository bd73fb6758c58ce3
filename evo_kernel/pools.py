"""Where candidates are judged: a pool takes sources and gives back verdicts, or says that a worker was lost."""

from dataclasses import dataclass, field
from time import monotonic
from typing import Protocol

from evo_kernel.config import Settings
from evo_kernel.errors import RunError
from fitness import child
from fitness.correctness import Limits
from fitness.evaluation import Evaluation
from fitness.judge import Judge, WorkerLost
from suites import Case, Task


@dataclass(frozen=True, slots=True)
class Done:
    """What became of one ticket. `evaluation` is None when the worker was lost and nothing was judged."""

    ticket: int
    evaluation: Evaluation | None
    seconds: float
    lost: str = ""
    limits: Limits = field(default_factory=dict)  # what the worker judges by, told once


class Pool(Protocol):
    """Judges several sources at once; results come in any order."""

    def free(self) -> int:
        """Return how many more sources can be taken now."""

    def submit(self, ticket: int, source: str) -> None:
        """Take one source; its ticket comes back with its verdict."""

    def wait(self, seconds: float) -> list[Done]:
        """Return what is done, waiting at most so long for the first."""

    def close(self) -> None:
        """Stop all work."""


def make_judge(task: Task, settings: Settings) -> Judge:
    """Return a judge as the settings want it."""
    limits = child.Limits(seconds=settings.seconds, memory=int(settings.memory_gb * (1 << 30)))
    return Judge(task, settings.target, settings.seed, limits)


def judge_now(judge: Judge, source: str, cases: tuple[Case, ...]) -> Evaluation:
    """Judge one program while a person waits; a lost worker is replaced once."""
    try:
        return judge.judge(source, cases)
    except WorkerLost:
        try:
            return judge.judge(source, cases)
        except WorkerLost as error:
            raise RunError(f"this machine cannot judge now: {error}") from error


class InlinePool:
    """One judge in this process, one candidate at a time: for tests, debugging and exact repetition."""

    def __init__(self, task: Task, settings: Settings) -> None:
        self._judge = make_judge(task, settings)
        self._waiting: list[tuple[int, str]] = []

    def free(self) -> int:
        """Return 1 when nothing waits."""
        return 1 - len(self._waiting)

    def submit(self, ticket: int, source: str) -> None:
        """Keep the source until `wait`."""
        self._waiting.append((ticket, source))

    def wait(self, seconds: float) -> list[Done]:
        """Judge the one that waits, however long it takes."""
        done = []
        for ticket, source in self._waiting:
            started = monotonic()
            try:
                evaluation, lost = self._judge.judge(source), ""
            except WorkerLost as error:
                evaluation, lost = None, str(error)
            limits = self._judge.correctness.news()
            done.append(Done(ticket, evaluation, monotonic() - started, lost, limits))
        self._waiting.clear()
        return done

    def pids(self) -> list[int]:
        """Return the worker processes, for those who watch or kill them."""
        return self._judge.pids()

    def close(self) -> None:
        """End the judge's processes."""
        self._judge.close()
