"""Where candidates are judged: a pool takes sources and gives back verdicts, or says that a worker was lost."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from time import monotonic
from typing import TYPE_CHECKING, Protocol

from evo_kernel import gpus, machine
from evo_kernel.config import Settings
from evo_kernel.errors import RunError, Unsettled
from fitness import child, targets
from fitness.correctness import Limits
from fitness.evaluation import Evaluation
from fitness.gpu.court import Court, DeviceUnavailable
from fitness.jail import NoRoom, ReferenceLost, WorkerLost
from fitness.judge import Judge
from fitness.measure import MeasuringJudge
from fitness.open_mode import OpenJudge
from suites import Case, Task

if TYPE_CHECKING:  # it brings torch: a second that other searches need not wait
    from fitness.by_theirs import TheirsJudge

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Done:
    """What became of one ticket. `evaluation` is None when the worker was lost and nothing was judged."""

    ticket: int
    evaluation: Evaluation | None
    seconds: float
    lost: str = ""
    limits: Limits = field(default_factory=dict)  # what the worker judges by, told once
    gpu_seconds: float = 0.0  # for which it had a device
    full: bool = False  # lost, as temporary files had no room where it was judged


LOSSES = ("lost", "full")  # how an answer that travels names them


def loss(error: WorkerLost) -> str:
    """Name a loss."""
    return "full" if isinstance(error, NoRoom) else "lost"


class Pool(Protocol):
    """Judges several sources at once; results come in any order."""

    def free(self) -> int:
        """Return how many more sources can be taken now."""

    def submit(self, ticket: int, source: str) -> None:
        """Take one source; its ticket comes back with its verdict."""

    def wait(self, seconds: float, against: Mapping[str, str] | None = None) -> list[Done]:
        """Return what is done, waiting at most so long for the first.

        `against` holds the sources of the rivals, by name, that what goes to a device now is timed beside: the best
        may have changed since a program was submitted. Predictions need none.
        """

    def close(self) -> None:
        """Stop all work."""


class OneJudge(Protocol):
    """What judges one program after another while a person waits; predicting, it heeds neither rivals nor `confirm`."""

    def judge(
        self,
        source: str,
        cases: tuple[Case, ...],
        against: Mapping[str, str] | None = None,
        confirm: bool | None = None,
    ) -> Evaluation:
        """Return the verdict on a program."""

    @property
    def seconds(self) -> Mapping[str, float]:
        """What each gate of the last program took."""

    def close(self) -> None:
        """End all processes."""


class PoolsJudge(Protocol):
    """What judges in this process for a pool."""

    @property
    def seconds(self) -> Mapping[str, float]:
        """What each gate of the last program took."""

    def judge(self, source: str) -> Evaluation:
        """Return the verdict on a program."""

    def news(self) -> Limits:
        """Return the limits that were computed since this was last asked."""

    def pids(self) -> list[int]:
        """Return the worker processes."""

    def close(self) -> None:
        """End all processes."""


class Predicting:
    """The predicting judge as OneJudge."""

    def __init__(self, judge: Judge) -> None:
        self._judge = judge

    def judge(
        self,
        source: str,
        cases: tuple[Case, ...],
        against: Mapping[str, str] | None = None,
        confirm: bool | None = None,
    ) -> Evaluation:
        """Predict; rivals change nothing."""
        return self._judge.judge(source, cases)

    @property
    def seconds(self) -> Mapping[str, float]:
        """What each gate of the last program took."""
        return self._judge.seconds

    def close(self) -> None:
        """End the judge's processes."""
        self._judge.close()


def child_limits(settings: Settings) -> child.Limits:
    """Return what one step of judging one candidate may use."""
    return child.Limits(seconds=settings.seconds, memory=int(settings.memory_gb * (1 << 30)))


def make_judge(task: Task, settings: Settings) -> Judge:
    """Return a predicting judge as the settings want it."""
    return Judge(task, settings.target, settings.seed, child_limits(settings), also=settings.also)


def make_measuring_judge(task: Task, settings: Settings, index: int | None = None, judges: int | None = None,
                         warn: bool = True, secret: int | None = None) -> MeasuringJudge:  # fmt: skip
    """Return a judge on a GPU, one of several there: on this machine's own of the run's target if no index is given.

    `secret` is the seed that all judges of a run draw inputs from; without it a judge has one of its own. `judges` is
    how many share the GPU's memory: a run of the inline pool has one, and others are those of other runs.
    """
    if judges is None:
        judges = settings.judges if settings.pool == "inline" else 1
    place = machine.require(settings.target) if index is None else index
    target = targets.find(settings.target)
    there = judges if index is None else 1  # how many may be there by now; else the first on its GPU asks
    disturbed = gpus.busy(place, target.backend, there) if warn else None
    if disturbed is not None:
        logger.warning("%s", disturbed)
    try:
        return MeasuringJudge(task, target, child_limits(settings), Court(target, place, judges=judges), secret=secret)
    except (DeviceUnavailable, WorkerLost) as error:
        raise RunError(f"the GPU cannot be used: {error}") from error


def make_open_judge(task: Task, settings: Settings, secret: int | None = None
                    ) -> "OpenJudge | TheirsJudge":  # fmt: skip
    """Return a judge in open mode on this machine's GPU of the run's target: by cases, or by a suite's own test."""
    gpu = machine.own(settings.target)
    if task.judged_by:
        from fitness.by_theirs import TheirsJudge

        return TheirsJudge(task, targets.find(settings.target), gpu)
    try:
        return OpenJudge(task, targets.find(settings.target), child_limits(settings), gpu, secret)
    except DeviceUnavailable as error:
        raise RunError(str(error)) from error


def one_judge(task: Task, settings: Settings) -> OneJudge:
    """Return a judge of the run's basis and mode, for one program after another."""
    if settings.mode == "open":
        return make_open_judge(task, settings)
    return (
        make_measuring_judge(task, settings) if settings.basis == "measured" else Predicting(make_judge(task, settings))
    )


def judge_now(judge: OneJudge, source: str, cases: tuple[Case, ...], against: Mapping[str, str] | None = None,
              confirm: bool | None = None) -> Evaluation:  # fmt: skip
    """Judge one program while a person waits; a lost worker is replaced once."""
    for attempt in (1, 2):
        try:
            return judge.judge(source, cases, against, confirm)
        except WorkerLost as error:
            if attempt == 2:
                raise RunError(f"this machine cannot judge now: {error}") from error
        except DeviceUnavailable as error:
            raise RunError(f"the GPU cannot be used: {error}") from error
    raise AssertionError("unreachable")


class InlinePool:
    """One judge in this process, one candidate at a time: predicting, to be repeated exactly, or in open mode."""

    def __init__(self, task: Task, settings: Settings, secret: int | None = None) -> None:
        self._on_device = settings.mode == "open"
        self._judge: PoolsJudge
        self._judge = make_open_judge(task, settings, secret) if self._on_device else make_judge(task, settings)
        self._waiting: list[tuple[int, str]] = []

    def free(self) -> int:
        """Return 1 when nothing waits."""
        return 1 - len(self._waiting)

    def submit(self, ticket: int, source: str) -> None:
        """Keep the source until `wait`."""
        self._waiting.append((ticket, source))

    def wait(self, seconds: float, against: Mapping[str, str] | None = None) -> list[Done]:
        """Judge the one that waits, however long it takes."""
        done = []
        for ticket, source in self._waiting:
            started = monotonic()
            try:
                evaluation, lost, full = self._judge.judge(source), "", False
            except ReferenceLost as error:
                raise Unsettled(f"{error}. What the run knows is kept: resume it later") from error
            except WorkerLost as error:
                evaluation, lost, full = None, str(error), isinstance(error, NoRoom)
            limits = self._judge.news()
            seconds = monotonic() - started
            on_device = sum(self._judge.seconds.values()) if self._on_device else 0.0
            done.append(Done(ticket, evaluation, seconds, lost, limits, on_device, full))
        self._waiting.clear()
        return done

    def pids(self) -> list[int]:
        """Return the worker processes, for those who watch or kill them."""
        return self._judge.pids()

    def close(self) -> None:
        """End the judge's processes."""
        self._judge.close()
