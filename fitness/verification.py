"""Runs what a Builder made on a device: every case, edge and trial that the depth asks for, and judges the outputs."""

import random
from collections import OrderedDict
from enum import IntEnum
from typing import Any

from fitness.build import Built, Recorded, Refusal
from fitness.evaluation import Failure, Stage
from fitness.gpu.court import Court, Fault, NoRoom, Program
from fitness.race import Resolved
from suites import Case, Input, Task
from suites.trials import BASE, INFLUENCE

OTHER_TRIALS = 2  # of a case's other distributions, drawn in secret, when a program is screened
REMEMBERED = 4096  # programs
HUGE = 1 << 31  # bytes of inputs; an edge of more takes seconds, and is run when a person asks for a program
HUGE_SHARE = 12  # an edge's inputs may take at most one such part of the device's memory


class Depth(IntEnum):
    """How much of a task a program is run on."""

    SCREENED = 0  # the smallest case on all trials, the others on a secret choice
    THOROUGH = 1  # every case and edge on all trials
    EXHAUSTIVE = 2  # the huge edges too


class Verifier:
    """Remembers how far each program of one task was run, and what of it can be timed."""

    def __init__(self, task: Task, court: Court, rng: random.Random) -> None:
        self._task, self._court, self._rng = task, court, rng
        self.left_out: dict[str, None] = {}  # edges, in order
        self._verified: OrderedDict[str, tuple[Resolved, ...]] = OrderedDict()
        self._programs: OrderedDict[str, str] = OrderedDict()  # by digest of the source
        self._depths: OrderedDict[str, Depth] = OrderedDict()

    def known(self, source: str) -> tuple[Resolved, ...] | None:
        """Return the program of a text, by its digest, if it was verified."""
        return self._verified.get(self._programs.get(source, ""))

    def forget(self, built: Built) -> None:
        """Have a program verified again."""
        self._depths.pop(built.program, None)

    def verify(self, built: Built, depth: Depth) -> tuple[Resolved, ...]:
        """Choose configurations, then run edges and cases, as deep as wanted."""
        if self._depths.get(built.program, -1) >= depth:
            return self._verified[built.program]
        for memory in (self._depths, self._verified):
            memory.pop(built.program, None)  # what fails below is no rival any more
        smallest = min(built.recorded, key=lambda r: r.full.bytes).case.name
        found = [
            self._verify_case(built, r, depth >= Depth.THOROUGH or r.case.name == smallest) for r in built.recorded
        ]
        for edge in built.edges:
            if not _huge(edge.case):
                self._verify_case(built, edge, depth >= Depth.THOROUGH)
            elif depth is Depth.EXHAUSTIVE:
                self._verify_huge(built, edge)
        remember(self._verified, built.program, tuple(found))
        remember(self._programs, built.source, built.program)
        remember(self._depths, built.program, depth)
        return tuple(found)

    def _verify_huge(self, built: Built, edge: Recorded) -> None:
        """Verify an edge of more than 2^31 elements; where its truth has no room it is left out, and that is said."""
        try:
            self._verify_case(built, edge, thorough=False)
        except NoRoom:
            self.left_out[edge.case.name] = None

    def _verify_case(self, built: Built, one: Recorded, thorough: bool) -> Resolved:
        """Verify one case; a tuned launch takes the configuration that ran fastest."""
        name = one.case.name
        try:
            trials = self._court.trials(name, False)
            if _huge(one.case):
                trials = [BASE]  # what it is there for is its size, and each trial takes seconds
            elif not thorough:
                trials = self._some(trials, edge=one.case in self._task.edges)
            choice = self._choose(built, one)
            program = Program(one.full.resolve(choice), built.code)
            twice = thorough or one.case not in self._task.edges
            verified = self._court.verify(name, False, trials, program, twice)
            if thorough and one.case not in self._task.edges:
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
            # what asks for more LDS than there is runs as nothing at all on some versions of ROCm: it is left out here
            able = [v for v in launch.variants if built.figures[v.kernel.digest].occupancy > 0]
            labels = [v.label for v in able if v.label is not None]
            function = launch.variants[0].kernel.function
            if len(launch.variants) < 2 or function in choice:
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


def remember(memory: "OrderedDict[str, Any]", key: str, value: Any) -> None:
    """Add to a memory that forgets its oldest."""
    memory[key] = value
    if len(memory) > REMEMBERED:
        memory.popitem(last=False)
