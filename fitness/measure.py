"""Judges programs on a GPU: gates in order of cost, then a race against rivals, confirmed in fresh processes.

    source --[record, compile: jails]--> plans, machine code --[bench runs, referee compares]--> right?
           --[bench times, interleaved with rivals and an anchor]--> faster? --[three fresh benches]--> confirmed

No candidate's Python runs in this process, nor in the two that work on the device.
"""

import logging
import math
import os
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fitness.build import Builder, Built, Recorded, Refusal
from fitness.build import timed as clocked
from fitness.child import Limits
from fitness.evaluation import Basis, CaseResult, Comparison, Evaluation, Failure, Stage
from fitness.gpu import clock
from fitness.gpu.calibration import Calibration
from fitness.gpu.clock import Ratio
from fitness.gpu.court import Court, Fault, Program, RefereeFailed
from fitness.targets import Target
from suites import Case, Task, TaskError

logger = logging.getLogger(__name__)

SCREEN, REFINE, CONFIRM = 12, 40, 30  # pairs of timings a case; CONFIRM in each fresh process
PROCESSES = 3  # fresh ones that confirm
HOPELESS = 3.0  # times slower than the rival in a single run: a few pairs say enough
BUDGET_US = 60_000.0  # of one case's screening on the device; slow programs get fewer pairs
FEWEST = 3
ROOFLINE_SLACK = 1.05
REMEMBERED = 4096


@dataclass(frozen=True, slots=True)
class Resolved:
    """One case of a verified program: its plan with every configuration chosen."""

    case: Case
    program: Program
    choice: tuple[tuple[str, str], ...]
    error: float
    estimate_us: float


@dataclass(frozen=True, slots=True)
class Times:
    """One case's timings: this program's samples, and each rival's in the same rounds."""

    own: list[float]
    rivals: dict[str, list[float]]


class MeasuringJudge:
    """The pipeline of one task on one device. What it says of equal programs differs by the noise of the clock."""

    def __init__(self, task: Task, target: Target, limits: Limits | None = None, index: int = 0) -> None:
        self.task, self.target = task, target
        self._limits = limits or Limits()
        self._builder = Builder(task.entry, target, self._limits, code=True)
        # secret: whoever knew it could know the inputs
        self._court = Court(task, target, int.from_bytes(os.urandom(6), "little"), index)
        self._court.start()
        self.calibration = Calibration.of(self._court.device, target)
        self.seconds: dict[str, float] = {}  # what each gate of the last program took
        self._finished: OrderedDict[str, Evaluation] = OrderedDict()
        self._rivals: OrderedDict[str, tuple[Resolved, ...] | None] = OrderedDict()  # by source
        self._resolved: OrderedDict[str, tuple[Resolved, ...]] = OrderedDict()

    @property
    def isolation(self) -> str:
        """What confines a candidate's Python."""
        return self._builder.isolation

    def judge(self, source: str, cases: tuple[Case, ...] | None = None, against: Mapping[str, str] | None = None,
              confirm: bool = False) -> Evaluation:  # fmt: skip
        """Judge a program; `against` names rivals' sources: it is timed beside them."""
        cases = cases or self.task.cases
        try:
            built = self._builder.build(source, (*cases, *self._edges()))
        except Refusal as refused:
            self.seconds = dict(self._builder.seconds)
            return self._refusal(refused.failure)
        return self.measure(built, len(cases), against or {}, confirm)

    def measure(self, built: Built, timed: int, against: Mapping[str, str], confirm: bool = False) -> Evaluation:
        """Judge what another process may have built; its first `timed` cases are timed, the others are edges."""
        self.seconds = dict(self._builder.seconds)
        known = self._finished.get(built.program)
        if known is not None and (known.confirmed or not confirm):
            return known
        try:
            with clocked(self.seconds, Stage.CORRECTNESS):
                resolved = self._verify(built, timed)
            rivals = {name: self._rival(source) for name, source in against.items()}
            with clocked(self.seconds, Stage.TIMING):
                evaluation = self._race(built, resolved, {n: r for n, r in rivals.items() if r}, confirm)
        except Refusal as refused:
            return self._refusal(refused.failure)
        except RefereeFailed as error:
            raise TaskError(f"task {self.task.name}: {error}") from error
        _remember(self._finished, built.program, evaluation)
        return evaluation

    def close(self) -> None:
        """End all processes."""
        self._builder.close()
        self._court.close()

    def pids(self) -> list[int]:
        """Return the processes, for those who watch or kill them."""
        return [p for p in (self._builder.pid, *self._court.pids()) if p]

    @property
    def edges(self) -> tuple[Case, ...]:
        """The cases for correctness alone that this device can hold: what is built for `measure` ends with them."""
        return self._edges()

    def refused(self, failure: Failure) -> Evaluation:
        """Return the verdict on a program that failed where it was built."""
        return self._refusal(failure)

    def _edges(self) -> tuple[Case, ...]:
        return tuple(e for e in self.task.edges if e.bytes < self._court.device.memory // 16)

    def _refusal(self, failure: Failure) -> Evaluation:
        return Evaluation(self.target.name, Basis.MEASURED, self.isolation, failure, device=self._court.device.name)

    def _verify(self, built: Built, timed: int) -> tuple[Resolved, ...]:
        """Choose configurations, then run every case on all its trials."""
        if built.program in self._resolved:
            return self._resolved[built.program]
        edges = built.recorded[timed:]
        cases = built.recorded[:timed]
        found = []
        for one in (*edges, *cases):
            try:
                found.append(self._verify_case(built, one))
            except Fault as fault:
                name = one.case.name
                raise Refusal(Failure(Stage.CORRECTNESS, fault.kind, f"case {name}: {fault}", case=name)) from fault
        resolved = tuple(found[len(edges) :])
        _remember(self._resolved, built.program, resolved)
        return resolved

    def _verify_case(self, built: Built, one: Recorded) -> Resolved:
        """Verify one case; a tuned launch takes the configuration that ran fastest."""
        choice = self._choose(built, one)
        program = Program(one.full.resolve(choice), built.code)
        verified = self._court.verify(one.case.name, False, self._court.trials(one.case.name, False), program)
        error = verified.error
        return Resolved(one.case, program, tuple(sorted(choice.items())), error, verified.time_us)

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
                    self._court.verify(one.case.name, False, ["base"], program)
                    times[label] = self._court.estimate(program)
                except Fault as fault:
                    if fault.kind not in ("resources", "invalid", "memory"):
                        raise
            if not times:
                raise Fault("resources", f"no configuration of {function} can run on this device")
            choice[function] = min(times, key=lambda k: times[k])
        return choice

    def _rival(self, source: str) -> tuple[Resolved, ...] | None:
        """Build and verify a rival once; one that does not pass is no rival."""
        if source not in self._rivals:
            found = None
            try:
                built = self._builder.build(source, (*self.task.cases, *self._edges()))
                found = self._verify(built, len(self.task.cases))
            except Refusal as refused:
                logger.warning("a rival does not pass and is left out: %s", refused)
            _remember(self._rivals, source, found)
        return self._rivals[source]

    def _race(self, built: Built, resolved: tuple[Resolved, ...], rivals: Mapping[str, tuple[Resolved, ...]],
              confirm: bool) -> Evaluation:  # fmt: skip
        """Screen; refine while it could win; confirm what wins, or what has nobody to win against."""
        times = self._time(resolved, rivals, SCREEN)
        results = {name: self._against(times, name) for name in rivals}
        rival = results.get("incumbent") or results.get("baseline")
        if rival is not None and rival.low < 1.0:
            more = self._time(resolved, rivals, REFINE)
            times = [_joined(a, b) for a, b in zip(times, more, strict=True)]
            results = {name: self._against(times, name) for name in rivals}
            rival = results.get("incumbent") or results.get("baseline")
        wins = rival is None or rival.faster(self.calibration.null)
        if confirm or wins:
            with clocked(self.seconds, "confirmation"):
                times, results = self._confirm(resolved, rivals)
        return self._evaluation(built, resolved, times, results, confirmed=confirm or wins)

    def _confirm(self, resolved: tuple[Resolved, ...], rivals: Mapping[str, tuple[Resolved, ...]]
                 ) -> tuple[list[Times], dict[str, Ratio]]:  # fmt: skip
        """Time again in fresh processes, on other placements; nothing from before counts."""
        parts = []
        for _ in range(PROCESSES):
            self._court.drop_bench()
            parts.append(self._time(resolved, rivals, CONFIRM))
        times = parts[0]
        for part in parts[1:]:
            times = [_joined(a, b) for a, b in zip(times, part, strict=True)]
        ratios = {name: self._pooled(parts, name) for name in rivals}
        return times, ratios

    def _time(self, resolved: tuple[Resolved, ...], rivals: Mapping[str, tuple[Resolved, ...]], pairs: int
              ) -> list[Times]:  # fmt: skip
        """Time every case beside its rivals; rounds in which the anchor drifted are left out."""
        found = []
        for number, one in enumerate(resolved):
            others = {n: r[number] for n, r in rivals.items() if number < len(r) and r[number].case == one.case}
            programs = [one, *others.values()]
            estimates = [p.estimate_us for p in programs]
            wanted = pairs
            if others and one.estimate_us > HOPELESS * max(o.estimate_us for o in others.values()):
                wanted = min(pairs, FEWEST)
            wanted = max(FEWEST, min(wanted, int(BUDGET_US / sum(estimates)))) if pairs < CONFIRM else wanted
            try:
                samples, anchors = self._court.time(one.case.name, [p.program for p in programs], estimates, wanted)
            except Fault as fault:
                name = one.case.name
                raise Refusal(Failure(Stage.TIMING, fault.kind, f"case {name}: {fault}", case=name)) from fault
            kept = clock.steady(anchors)
            flat = [[s for round_, ok in zip(rounds, kept, strict=True) if ok for s in round_] for rounds in samples]
            found.append(Times(flat[0], dict(zip(others, flat[1:], strict=True))))
        return found

    def _against(self, times: list[Times], rival: str) -> Ratio:
        """Join the cases' ratios to one rival: their geometric mean."""
        return _geometric([clock.ratio(t.own, t.rivals[rival]) for t in times if rival in t.rivals])

    def _pooled(self, parts: list[list[Times]], rival: str) -> Ratio:
        """Join several processes' ratios, case by case."""
        joined = []
        for number in range(len(parts[0])):
            each = [p[number] for p in parts if rival in p[number].rivals]
            if each:
                pairs = [pair for t in each for pair in zip(t.own, t.rivals[rival], strict=True)]
                joined.append(clock.pooled([clock.ratio(t.own, t.rivals[rival]) for t in each], pairs))
        return _geometric(joined)

    def _evaluation(self, built: Built, resolved: tuple[Resolved, ...], times: list[Times],
                    results: Mapping[str, Ratio], confirmed: bool) -> Evaluation:  # fmt: skip
        """Put the verdict together; faster than the roofline is refused."""
        cases = []
        for one, t in zip(resolved, times, strict=True):
            timed = clock.timing(t.own)
            least = self.calibration.least_us(one.case)
            if timed.median * ROOFLINE_SLACK < least:
                message = (
                    f"case {one.case.name}: {timed.median:.2f} us is faster than the roofline of this case on "
                    f"{self._court.device.name} ({least:.2f} us): part of the work is left out"
                )
                raise Refusal(Failure(Stage.TIMING, "roofline", message, case=one.case.name))
            floor, bound = self.calibration.floor_us(one.case)
            cases.append(
                CaseResult(
                    one.case.name, _digits(timed.median), round(one.error, 6), _digits(floor), bound, one.choice,
                    _digits(timed.low), _digits(timed.high), timed.samples,
                )
            )  # fmt: skip
        used = {k: None for one in resolved for k in one.program.digests}
        return Evaluation(
            target=self.target.name,
            basis=Basis.MEASURED,
            isolation=self.isolation,
            failure=None,
            cases=tuple(cases),
            kernels=tuple(built.figures[d] for d in used),
            program=built.program,
            notes=built.notes,
            device=self._court.device.name,
            confirmed=confirmed,
            against=tuple(Comparison(n, r.value, r.low, r.high, r.pairs) for n, r in results.items()),
        )


def _joined(one: Times, other: Times) -> Times:
    return Times(one.own + other.own, {n: s + other.rivals[n] for n, s in one.rivals.items()})


def _geometric(parts: list[Ratio]) -> Ratio:
    """Return the geometric mean of independent ratios; half-widths of their logs add in squares."""
    n = len(parts)
    middle = sum(math.log(p.value) for p in parts) / n
    below = math.sqrt(sum((math.log(p.value) - math.log(p.low)) ** 2 for p in parts)) / n
    above = math.sqrt(sum((math.log(p.high) - math.log(p.value)) ** 2 for p in parts)) / n
    return Ratio(math.exp(middle), math.exp(middle - below), math.exp(middle + above), sum(p.pairs for p in parts))


def _digits(value: float) -> float:
    return float(f"{value:.6g}")


def _remember(memory: "OrderedDict[str, Any]", key: str, value: Any) -> None:
    """Add to a memory that forgets its oldest."""
    memory[key] = value
    if len(memory) > REMEMBERED:
        memory.popitem(last=False)
