"""Judges programs on a GPU: gates in order of cost, then a race against rivals, confirmed in fresh processes.

    source --[record, compile: jails]--> plans, machine code --[bench runs, referee compares]--> right?
           --[bench times, interleaved with rivals and an anchor]--> faster? --[three fresh benches]--> confirmed

No candidate's Python runs in this process, nor in the two that work on the device.
"""

import contextlib
import logging
import os
import random
from collections import OrderedDict
from collections.abc import Iterator, Mapping

from fitness import child, race
from fitness.build import Builder, Built, Purpose, Refusal, digest, timed, understood
from fitness.correctness import FULL, Limits
from fitness.evaluation import Basis, CaseResult, Comparison, Evaluation, Failure, Stage
from fitness.gpu import clock
from fitness.gpu.calibration import Calibration
from fitness.gpu.clock import Ratio
from fitness.gpu.court import Court, Crowded, MachineFailed, NoRoom, RefereeFailed
from fitness.jail import Jail, lost
from fitness.race import Resolved, Times
from fitness.roofline import roofline
from fitness.targets import Target
from fitness.verification import LEFT_OUT, Depth, Verifier, edges, huge, remember
from fitness.walls.standing import Standing
from suites import Case, Task, TaskError

logger = logging.getLogger(__name__)

SCREEN, REFINE, CONFIRM = 8, 40, 32  # pairs of timings a case; CONFIRM in each fresh process
PROCESSES, SPARE = 3, 3  # fresh ones that confirm, and more of them for those in which the clocks moved
INCUMBENT = "incumbent"  # the name of the rival that is the best so far
CONFIRMATION = "confirmation"  # within the time of Stage.TIMING
UNSETTLED = "the device's clocks did not settle while it was timed"


class MeasuringJudge:
    """The pipeline of one task on one device. What it says of equal programs differs by the noise of the clock."""

    def __init__(self, task: Task, target: Target, limits: child.Limits | None = None, court: Court | None = None,
                 jail: Jail | None = None, imports: bool = True, secret: int | None = None) -> None:  # fmt: skip
        self.task, self.target = task, target
        self._builder = Builder(task, target, limits or child.Limits(), Purpose(code=True, imports=imports), jail)
        self._rng = random.Random(os.urandom(16))  # of what no record needs to repeat
        self._court = court or Court(target)
        with contextlib.ExitStack() as opened:
            opened.callback(self.close)  # a judge that cannot begin leaves no process
            with self._blamed():
                self._court.start()
                # whoever knew the seed could know the inputs: all judges of one run have one, so that no limit moves
                self._court.begin(task, self._rng.getrandbits(48) if secret is None else secret)
            opened.pop_all()
        self.calibration = Calibration.of(self._court.device.name, target)
        self.seconds: dict[str, float] = {}  # what each gate of the last program took
        self._finished: OrderedDict[str, Evaluation] = OrderedDict()
        self._verifier = Verifier(task, self._court, self._rng)

    @property
    def standing(self) -> Standing:
        """What is in force around a candidate's Python."""
        return self._builder.jail.standing

    @property
    def device(self) -> str:
        """The device's name."""
        return self._court.device.name

    @property
    def edges(self) -> tuple[Case, ...]:
        """The task's edges that every program is run on: all but the huge ones."""
        return edges(self.task)

    def judge(self, source: str, cases: tuple[Case, ...] | None = None, against: Mapping[str, str] | None = None,
              confirm: bool | None = None) -> Evaluation:  # fmt: skip
        """Judge a program; `against` names rivals' sources: it is timed beside them.

        `confirm`: whether to time it in fresh processes; None does so for what wins, and for what has no rival.
        """
        try:
            more = huge(self.task, self._court.room) if confirm else ()
            built = self._builder.build(source, cases or self.task.cases, (*self.edges, *more))
        except Refusal as refused:
            self.seconds = self._builder.seconds
            return self.refusal(refused.failure)
        built_in = self._builder.seconds
        evaluation = self.measure(built, against or {}, confirm)
        self.seconds = {**built_in, **self.seconds}
        return evaluation

    def measure(self, built: Built, against: Mapping[str, str], confirm: bool | None = None) -> Evaluation:
        """Judge what a Builder made, here or elsewhere."""
        self.seconds = {}
        known = self._finished.get(built.program)
        if known is not None and (known.confirmed or not confirm):
            return known
        try:
            with self._blamed():
                with timed(self.seconds, Stage.CORRECTNESS), understood(Stage.CORRECTNESS):
                    resolved = self._verifier.verify(built, Depth.SCREENED)
                rivals = {name: r for name, source in against.items() if (r := self._rival(source)) is not None}
                with timed(self.seconds, Stage.TIMING):
                    evaluation = self._race(built, resolved, rivals, confirm)
        except Refusal as refused:
            return self.refusal(refused.failure)
        if UNSETTLED not in evaluation.notes:
            remember(self._finished, built.program, evaluation)
        return evaluation

    def eager_us(self) -> dict[str, float]:
        """Time the task's own PyTorch on its cases: microseconds by case, of those that the device has room for."""
        found: dict[str, float] = {}
        for case in self.task.cases:
            with self._blamed():
                try:
                    found[case.name] = self._court.eager_us(case.name)
                except Crowded:
                    raise
                except NoRoom as error:
                    logger.warning("PyTorch's time on %s is not known: %s", case.name, error)
        return found

    def refusal(self, failure: Failure) -> Evaluation:
        """Return the verdict on what no builder could build."""
        return Evaluation(self.target.name, Basis.MEASURED, str(self.standing), failure, device=self.device)

    def news(self) -> Limits:
        """Return the limits that were computed since this was last asked, to be kept with a run.

        Those of a referee that was lost are told by the next one, when it computes them: no verdict is lost for them.
        """
        try:
            return {f"{FULL}{name}": figures for name, figures in self._court.news().items()}
        except MachineFailed:
            return {}

    def rest(self) -> None:
        """End the processes of this task, and leave the court to others."""
        self._builder.close()

    def close(self) -> None:
        """End all processes."""
        self.rest()
        self._court.close()

    def pids(self) -> list[int]:
        """Return the processes, for those who watch or kill them."""
        return [p for p in (self._builder.jail.pid, *self._court.pids()) if p]

    @contextlib.contextmanager
    def _blamed(self) -> Iterator[None]:
        """Say of what fails on the device, and is no program's fault, whether the machine or the task is to blame."""
        try:
            yield
        except MachineFailed as error:
            raise lost(str(error)) from error
        except Crowded:
            raise
        except RefereeFailed as error:
            raise TaskError(f"task {self.task.name}: {error}") from error

    def _rival(self, source: str) -> tuple[Resolved, ...] | None:
        """Return a rival's programs, built and verified once; one that does not pass is no rival."""
        known = self._verifier.known(digest(source))
        if known is not None:
            return known
        try:
            built = self._builder.build(source, self.task.cases, self.edges)
            return self._verifier.verify(built, Depth.SCREENED)
        except Refusal as refused:
            logger.warning("a rival does not pass and is left out: %s", refused)
            return None

    def _race(self, built: Built, resolved: tuple[Resolved, ...], rivals: race.Rivals, confirm: bool | None
              ) -> Evaluation:  # fmt: skip
        """Screen; refine while it could win; confirm what wins, or what has nobody to win against.

        Who is the best so far is beside the others already: a program that is no faster needs no other rival.
        """
        ahead = {INCUMBENT: rivals[INCUMBENT]} if INCUMBENT in rivals else rivals
        parts = [race.run(self._court, resolved, ahead, SCREEN, thrifty=True)]
        best = self._best_rival(parts, ahead)
        null = self.calibration.null_of([clock.timing(t.own).median for t in race.joined(parts)])
        if best is not None and best.low < 1.0 - null:
            parts = [race.joined([*parts, race.run(self._court, resolved, ahead, REFINE, thrifty=True)])]
            best = self._best_rival(parts, ahead)
        wins = best is None or best.faster(null)
        confirmed = wins if confirm is None else confirm
        if confirmed:
            depth = Depth.EXHAUSTIVE if confirm else Depth.THOROUGH
            with timed(self.seconds, CONFIRMATION):
                resolved, parts = self._confirm(built, rivals, depth)
            best = self._best_rival(parts, rivals)
            # a gain that fresh processes do not show again was luck, and nobody's best
            confirmed = bool(confirm) or best is None or best.faster(null)
        ratios = {name: r for name in rivals if (r := race.against(parts, name)) is not None}
        return self._evaluation(built, resolved, race.joined(parts), ratios, confirmed)

    def _best_rival(self, parts: list[list[Times]], rivals: race.Rivals) -> Ratio | None:
        """Return the ratio to the fastest rival."""
        found = [r for name in rivals if (r := race.against(parts, name)) is not None]
        return max(found, key=lambda r: r.value, default=None)

    def _confirm(self, built: Built, rivals: race.Rivals, depth: Depth
                 ) -> tuple[tuple[Resolved, ...], list[list[Times]]]:  # fmt: skip
        """Run every trial and time again, in fresh processes; nothing timed before counts.

        A process in which the device's clocks moved makes room for another, while there are spare ones.
        """
        if depth is Depth.EXHAUSTIVE:  # a person asks: new data; computing it again takes seconds
            self._court.begin(self.task, self._rng.getrandbits(48))
        self._verifier.forget(built)
        steady: list[list[Times]] = []
        moved: list[list[Times]] = []
        for number in range(PROCESSES + SPARE):
            self._court.drop_bench()
            if number == 0:
                resolved = self._verifier.verify(built, depth)
            part = race.run(self._court, resolved, rivals, CONFIRM, thrifty=False)
            (steady if all(t.settled for t in part) else moved).append(part)
            if len(steady) == PROCESSES:
                break
        return resolved, [*steady, *moved][:PROCESSES]

    def _evaluation(self, built: Built, resolved: tuple[Resolved, ...], times: list[Times],
                    ratios: Mapping[str, Ratio], confirmed: bool) -> Evaluation:  # fmt: skip
        """Put the verdict together."""
        used = {k: None for one in resolved for k in one.program.digests}
        unsettled = () if all(t.settled for t in times) else (UNSETTLED,)
        return Evaluation(
            target=self.target.name,
            basis=Basis.MEASURED,
            isolation=str(self.standing),
            failure=None,
            cases=tuple(self._case(one, t) for one, t in zip(resolved, times, strict=True)),
            kernels=tuple(built.figures[d] for d in used),
            program=built.program,
            notes=built.notes
            + tuple(f"{LEFT_OUT}{e} needs more memory than this device had for it" for e in self._verifier.left_out)
            + unsettled,
            device=self.device,
            confirmed=confirmed and all(t.settled for t in times),
            against=tuple(Comparison(n, r.value, r.low, r.high, r.pairs) for n, r in ratios.items()),
        )

    def _case(self, one: Resolved, times: Times) -> CaseResult:
        """Sum up one case; faster than the roofline is refused."""
        timed, name = clock.timing(times.own), one.case.name
        least = roofline(one.case, self.calibration.ceilings)
        if least.beaten(timed.median):
            raise Refusal(least.refusal(one.case, timed.median, self.device, "part of the work is left out"))
        return CaseResult(
            case=name,
            time_us=_digits(timed.median),
            error=round(one.error, 6),
            floor_us=_digits(least.time_us),
            bound=least.bound,
            choice=one.choice,
            low_us=_digits(timed.low),
            high_us=_digits(timed.high),
            samples=timed.samples,
        )


def _digits(value: float) -> float:
    return float(f"{value:.6g}")
