"""Judges programs on a GPU: gates in order of cost, then a race against rivals, confirmed in fresh processes.

    source --[record, compile: jails]--> plans, machine code --[bench runs, referee compares]--> right?
           --[bench times, interleaved with rivals and an anchor]--> faster? --[three fresh benches]--> confirmed

No candidate's Python runs in this process, nor in the two that work on the device.
"""

import logging
import os
import random
from collections import OrderedDict
from collections.abc import Mapping
from enum import IntEnum
from typing import Any

from fitness import race
from fitness.build import Builder, Built, Purpose, Recorded, Refusal, digest, timed, understood
from fitness.child import Limits
from fitness.evaluation import Basis, CaseResult, Comparison, Evaluation, Failure, Stage
from fitness.gpu import clock
from fitness.gpu.calibration import Calibration
from fitness.gpu.clock import Ratio
from fitness.gpu.court import Court, Fault, NoRoom, Program, RefereeFailed
from fitness.jail import Jail
from fitness.race import Resolved, Times
from fitness.targets import Target
from fitness.walls.standing import Standing
from suites import Case, Input, Task, TaskError
from suites.trials import BASE, INFLUENCE

logger = logging.getLogger(__name__)

SCREEN, REFINE, CONFIRM = 12, 40, 32  # pairs of timings a case; CONFIRM in each fresh process
PROCESSES = 3  # fresh ones that confirm
OTHER_TRIALS = 2  # of a case's other distributions, drawn in secret, when a program is screened
ROOFLINE_SLACK = 1.05
CONFIRMATION = "confirmation"  # within the time of Stage.TIMING
REMEMBERED = 4096
HUGE = 1 << 31  # bytes of inputs; an edge of more takes seconds, and is run when a person asks for a program
HUGE_SHARE = 12  # an edge's inputs may take at most one such part of the device's memory


class Depth(IntEnum):
    """How much of a task a program is run on."""

    SCREENED = 0  # the smallest case on all trials, the others on a secret choice
    THOROUGH = 1  # every case and edge on all trials
    EXHAUSTIVE = 2  # the huge edges too


class MeasuringJudge:
    """The pipeline of one task on one device. What it says of equal programs differs by the noise of the clock."""

    def __init__(self, task: Task, target: Target, limits: Limits | None = None, court: Court | None = None,
                 jail: Jail | None = None, imports: bool = True) -> None:  # fmt: skip
        self.task, self.target = task, target
        self._builder = Builder(task, target, limits or Limits(), Purpose(code=True, imports=imports), jail)
        # secret: whoever knew the seed could know the inputs
        self._rng = random.Random(os.urandom(16))
        self._court = court or Court(target)
        self._court.start()
        self._court.begin(task, self._rng.getrandbits(48))
        self.calibration = Calibration.of(self._court.device, target)
        self.seconds: dict[str, float] = {}  # what each gate of the last program took
        self._finished: OrderedDict[str, Evaluation] = OrderedDict()
        self._verified: OrderedDict[str, tuple[Resolved, ...]] = OrderedDict()
        self._left_out: dict[str, None] = {}  # edges, in order
        self._programs: OrderedDict[str, str] = OrderedDict()  # by digest of the source
        self._depths: OrderedDict[str, Depth] = OrderedDict()  # how far programs were run

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
            more = huge(self.task, self._court.device.memory) if confirm else ()
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
            with timed(self.seconds, Stage.CORRECTNESS), understood(Stage.CORRECTNESS):
                resolved = self._verify(built, Depth.SCREENED)
            rivals = {name: r for name, source in against.items() if (r := self._rival(source)) is not None}
            with timed(self.seconds, Stage.TIMING):
                evaluation = self._race(built, resolved, rivals, confirm)
        except Refusal as refused:
            return self.refusal(refused.failure)
        except RefereeFailed as error:
            raise TaskError(f"task {self.task.name}: {error}") from error
        _remember(self._finished, built.program, evaluation)
        return evaluation

    def refusal(self, failure: Failure) -> Evaluation:
        """Return the verdict on what no builder could build."""
        return Evaluation(self.target.name, Basis.MEASURED, str(self.standing), failure, device=self.device)

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

    def _verify(self, built: Built, depth: Depth) -> tuple[Resolved, ...]:
        """Choose configurations, then run edges and cases, as deep as wanted."""
        if self._depths.get(built.program, -1) >= depth:
            return self._verified[built.program]
        smallest = min(built.recorded, key=lambda r: r.full.bytes).case.name
        found = [
            self._verify_case(built, r, depth >= Depth.THOROUGH or r.case.name == smallest) for r in built.recorded
        ]
        for edge in built.edges:
            if not _huge(edge.case):
                self._verify_case(built, edge, depth >= Depth.THOROUGH)
            elif depth is Depth.EXHAUSTIVE:
                self._verify_huge(built, edge)
        _remember(self._verified, built.program, tuple(found))
        _remember(self._programs, built.source, built.program)
        _remember(self._depths, built.program, depth)
        return tuple(found)

    def _verify_huge(self, built: Built, edge: Recorded) -> None:
        """Verify an edge of more than 2^31 elements; where its truth has no room it is left out, and that is said."""
        try:
            self._verify_case(built, edge, thorough=False)
        except NoRoom:
            self._left_out[edge.case.name] = None

    def _verify_case(self, built: Built, one: Recorded, thorough: bool) -> Resolved:
        """Verify one case; a tuned launch takes the configuration that ran fastest."""
        name = one.case.name
        try:
            trials = self._court.trials(name, False)
            if _huge(one.case):
                trials = [BASE]  # what it is there for is its size, and each trial takes seconds
            elif not thorough:
                trials = self._some(trials, edge=one.case in self.task.edges)
            choice = self._choose(built, one)
            program = Program(one.full.resolve(choice), built.code)
            twice = thorough or one.case not in self.task.edges
            verified = self._court.verify(name, False, trials, program, twice)
            if thorough and one.case not in self.task.edges:
                self._court.verify_memory(name, [BASE, INFLUENCE if INFLUENCE in trials else trials[-1]], program)
        except Fault as fault:
            raise Refusal(Failure(Stage.CORRECTNESS, fault.kind, f"case {name}: {fault}", case=name)) from fault
        return Resolved(one.case, program, tuple(sorted(choice.items())), verified.error, verified.time_us)

    def _some(self, trials: list[str], edge: bool) -> list[str]:
        """Choose trials in secret: the base, and one for an edge; for a case the influence trial and two."""
        others = [t for t in trials if t not in (BASE, INFLUENCE)]
        if edge:
            chosen = self._rng.sample(trials[1:], min(1, len(trials) - 1))
        else:
            chosen = [INFLUENCE, *self._rng.sample(others, min(OTHER_TRIALS, len(others)))]
        return [t for t in trials if t in (BASE, *chosen)]

    def _choose(self, built: Built, one: Recorded) -> dict[str, str]:
        """Time every configuration of every tuned kernel alone, the others at their first."""
        choice: dict[str, str] = {}
        for launch in one.full.launches:
            labels = [v.label for v in launch.variants if v.label is not None]
            function = launch.variants[0].kernel.function
            if len(labels) < 2 or function in choice:
                continue
            times: dict[str, float] = {}
            for label in labels:
                program = Program(one.full.resolve({**choice, function: label}), built.code)
                try:
                    self._court.verify(one.case.name, False, [BASE], program)
                    times[label] = self._court.estimate(program)
                except Fault as fault:
                    if fault.kind not in ("resources", "invalid", "memory"):
                        raise
            if not times:
                raise Fault("resources", f"no configuration of {function} can run on this device")
            choice[function] = min(times, key=lambda k: times[k])
        return choice

    def _rival(self, source: str) -> tuple[Resolved, ...] | None:
        """Return a rival's programs, built and verified once; one that does not pass is no rival."""
        known = self._verified.get(self._programs.get(digest(source), ""))
        if known is not None:
            return known
        try:
            return self._verify(self._builder.build(source, self.task.cases, self.edges), Depth.SCREENED)
        except Refusal as refused:
            logger.warning("a rival does not pass and is left out: %s", refused)
            return None

    def _race(self, built: Built, resolved: tuple[Resolved, ...], rivals: race.Rivals, confirm: bool | None
              ) -> Evaluation:  # fmt: skip
        """Screen; refine while it could win; confirm what wins, or what has nobody to win against."""
        parts = [race.run(self._court, resolved, rivals, SCREEN, thrifty=True)]
        best = self._best_rival(parts, rivals)
        if best is not None and best.low < 1.0:
            parts = [race.joined([*parts, race.run(self._court, resolved, rivals, REFINE, thrifty=True)])]
            best = self._best_rival(parts, rivals)
        wins = best is None or best.faster(self.calibration.null)
        confirmed = wins if confirm is None else confirm
        if confirmed:
            depth = Depth.EXHAUSTIVE if confirm else Depth.THOROUGH
            with timed(self.seconds, CONFIRMATION):
                resolved, parts = self._confirm(built, rivals, depth)
        ratios = {name: r for name in rivals if (r := race.against(parts, name)) is not None}
        return self._evaluation(built, resolved, race.joined(parts), ratios, confirmed)

    def _best_rival(self, parts: list[list[Times]], rivals: race.Rivals) -> Ratio | None:
        """Return the ratio to the fastest rival."""
        found = [r for name in rivals if (r := race.against(parts, name)) is not None]
        return max(found, key=lambda r: r.value, default=None)

    def _confirm(self, built: Built, rivals: race.Rivals, depth: Depth
                 ) -> tuple[tuple[Resolved, ...], list[list[Times]]]:  # fmt: skip
        """Run every trial and time again, in fresh processes; nothing timed before counts."""
        if depth is Depth.EXHAUSTIVE:  # a person asks: new data; computing it again takes seconds
            self._court.begin(self.task, self._rng.getrandbits(48))
        self._depths.pop(built.program, None)
        parts = []
        for number in range(PROCESSES):
            self._court.drop_bench()
            if number == 0:
                resolved = self._verify(built, depth)
            parts.append(race.run(self._court, resolved, rivals, CONFIRM, thrifty=False))
        return resolved, parts

    def _evaluation(self, built: Built, resolved: tuple[Resolved, ...], times: list[Times],
                    ratios: Mapping[str, Ratio], confirmed: bool) -> Evaluation:  # fmt: skip
        """Put the verdict together."""
        used = {k: None for one in resolved for k in one.program.digests}
        return Evaluation(
            target=self.target.name,
            basis=Basis.MEASURED,
            isolation=str(self.standing),
            failure=None,
            cases=tuple(self._case(one, t) for one, t in zip(resolved, times, strict=True)),
            kernels=tuple(built.figures[d] for d in used),
            program=built.program,
            notes=built.notes + tuple(f"edge {e} needs more memory than this device has" for e in self._left_out),
            device=self.device,
            confirmed=confirmed,
            against=tuple(Comparison(n, r.value, r.low, r.high, r.pairs) for n, r in ratios.items()),
        )

    def _case(self, one: Resolved, times: Times) -> CaseResult:
        """Sum up one case; faster than the roofline is refused."""
        timed, name = clock.timing(times.own), one.case.name
        least = self.calibration.least_us(one.case)
        if timed.median * ROOFLINE_SLACK < least:
            message = (
                f"case {name}: {timed.median:.2f} us is faster than the roofline of this case on {self.device} "
                f"({least:.2f} us): part of the work is left out"
            )
            raise Refusal(Failure(Stage.TIMING, "roofline", message, case=name))
        floor, bound = self.calibration.floor_us(one.case)
        return CaseResult(
            case=name,
            time_us=_digits(timed.median),
            error=round(one.error, 6),
            floor_us=_digits(floor),
            bound=bound,
            choice=one.choice,
            low_us=_digits(timed.low),
            high_us=_digits(timed.high),
            samples=timed.samples,
        )


def edges(task: Task) -> tuple[Case, ...]:
    """Return a task's edges but the huge ones."""
    return tuple(e for e in task.edges if not _huge(e))


def huge(task: Task, memory: int) -> tuple[Case, ...]:
    """Return a task's huge edges that a device with so much memory may have room for."""
    return tuple(e for e in task.edges if _huge(e) and _input_bytes(e) < memory // HUGE_SHARE)


def _huge(case: Case) -> bool:
    return _input_bytes(case) > HUGE


def _input_bytes(case: Case) -> int:
    return sum(a.bytes for a in case.inputs.values() if isinstance(a, Input))


def _digits(value: float) -> float:
    return float(f"{value:.6g}")


def _remember(memory: "OrderedDict[str, Any]", key: str, value: Any) -> None:
    """Add to a memory that forgets its oldest."""
    memory[key] = value
    if len(memory) > REMEMBERED:
        memory.popitem(last=False)
