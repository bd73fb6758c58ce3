"""Runs what a Builder made on a device: every case, edge and trial that the depth asks for, and judges the outputs."""

import random
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from enum import IntEnum
from typing import Any

from fitness.build import Built, Recorded, Refusal
from fitness.evaluation import Failure, Stage
from fitness.gpu.court import Court, Crowded, Fault, Hearing, NoRoom, Program, Verified
from fitness.race import Resolved
from suites import Case, Input, Task
from suites.trials import BASE, INFLUENCE

WARM = (BASE, BASE, BASE)  # of a configuration of a tuned kernel: the fastest run counts
OTHER_TRIALS = 1  # of a case's other distributions, drawn in secret, when a program is screened
REMEMBERED = 4096  # programs
HUGE = (
    1 << 31
)  # bytes of inputs, or of what it moves; an edge of more takes seconds, and is run when a person asks for a program
LEFT_OUT = "edge not run: "  # how a note begins that says so
HUGE_SHARE = 3  # a huge edge may take at most one such part of the room for a program's buffers


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
        """Choose configurations, then run cases and edges, as deep as wanted."""
        if self._depths.get(built.program, -1) >= depth and _of(built, found := self._verified[built.program]):
            return found
        for memory in (self._depths, self._verified):
            memory.pop(built.program, None)  # what fails below is no rival any more
        smallest = min(built.recorded, key=lambda r: r.full.bytes).case.name
        deep = depth >= Depth.THOROUGH
        cases = [self._hearing(built, r, deep or r.case.name == smallest) for r in built.recorded]
        edges = [self._hearing(built, e, deep)[0] for e in built.edges if not _huge(e.case)]
        verified = self._hear([*(hearing for hearing, _ in cases), *edges])
        if deep:
            for hearing, _ in cases:
                self._hear_again(hearing)
        if depth is Depth.EXHAUSTIVE:
            self.left_out |= {e: None for e in huge_names(self._task) if e not in {b.case.name for b in built.edges}}
            for edge in (e for e in built.edges if _huge(e.case)):
                self._hear_huge(built, edge)
        found = tuple(
            Resolved(r.case, hearing.program, tuple(sorted(choice.items())), one.error, one.time_us)
            for r, (hearing, choice), one in zip(built.recorded, cases, verified[: len(cases)], strict=True)
        )
        remember(self._verified, built.program, found)
        remember(self._programs, built.source, built.program)
        remember(self._depths, built.program, depth)
        return found

    def _hear(self, hearings: Sequence[Hearing]) -> list[Verified]:
        with _understood():
            return self._court.verify(hearings)

    def _hear_again(self, hearing: Hearing) -> None:
        """Run a program on memory that holds its own results."""
        changed = INFLUENCE if INFLUENCE in hearing.trials else hearing.trials[-1]
        with _understood():
            self._court.verify_memory(hearing.case, [BASE, changed], hearing.program)

    def _hear_huge(self, built: Built, edge: Recorded) -> None:
        """Verify an edge of more than 2^31 elements; where its truth has no room it is left out, and that is said."""
        try:
            self._hear([self._hearing(built, edge, thorough=False)[0]])
        except Crowded:
            raise
        except NoRoom:
            self.left_out[edge.case.name] = None

    def _hearing(self, built: Built, one: Recorded, thorough: bool) -> tuple[Hearing, dict[str, str]]:
        """Choose trials and configurations; a tuned launch takes the one that ran fastest."""
        name, edge = one.case.name, one.case in self._task.edges
        trials = self._court.trials(name)
        if _huge(one.case) if edge else _input_bytes(one.case) > HUGE:
            trials = [BASE]  # what it is there for is its size, and each trial takes seconds
        elif not thorough:
            trials = self._some(trials, edge)
        with _understood():
            choice = self._choose(built, one)
        program = Program(one.full.resolve(choice), built.code)
        return Hearing(name, tuple(trials), program, twice=thorough or not edge), choice

    def _some(self, trials: list[str], edge: bool) -> list[str]:
        """Choose trials in secret: any one for an edge; for a case the base, the influence trial and another."""
        if edge:
            return [self._rng.choice(trials)]
        others = [t for t in trials if t not in (BASE, INFLUENCE)]
        chosen = self._rng.sample(others, min(OTHER_TRIALS, len(others)))
        return [t for t in trials if t in (BASE, INFLUENCE, *chosen)]

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
                    (times[label],) = (v.time_us for v in self._court.verify([Hearing(one.case.name, WARM, program)]))
                except Fault as fault:
                    if fault.kind not in ("resources", "invalid", "memory"):
                        raise
            if not times:
                raise Fault("resources", f"no configuration of {function} can run on this device", case=one.case.name)
            choice[function] = min(times, key=lambda k: times[k])
        return choice


@contextmanager
def _understood() -> Iterator[None]:
    """Turn a fault on the device into a verdict."""
    try:
        yield
    except Fault as fault:
        said = f"case {fault.case}: {fault}" if fault.case else str(fault)
        raise Refusal(Failure(Stage.CORRECTNESS, fault.kind, said, case=fault.case)) from fault


def _of(built: Built, found: Sequence[Resolved]) -> bool:
    """Say whether what was verified is of this build: equal machine code may be of other text, under other digests."""
    return all(digest in built.figures for one in found for digest in one.program.digests)


def edges(task: Task) -> tuple[Case, ...]:
    """Return a task's edges but the huge ones."""
    return tuple(e for e in task.edges if not _huge(e))


def huge_names(task: Task) -> tuple[str, ...]:
    """Name a task's huge edges, whatever device they need."""
    return tuple(e.name for e in task.edges if _huge(e))


def huge(task: Task, room: int) -> tuple[Case, ...]:
    """Return a task's huge edges that there is room for: where there is none, that is no program's fault."""
    return tuple(e for e in task.edges if _huge(e) and _bytes(e) < room // HUGE_SHARE)


def _huge(edge: Case) -> bool:
    return _bytes(edge) > HUGE


def _bytes(edge: Case) -> int:
    """Return what an edge's inputs take, or its results where its task says that they take more."""
    return max(edge.bytes, _input_bytes(edge))


def _input_bytes(case: Case) -> int:
    return sum(a.bytes for a in case.inputs.values() if isinstance(a, Input))


def remember(memory: "OrderedDict[str, Any]", key: str, value: Any) -> None:
    """Add to a memory that forgets its oldest."""
    memory[key] = value
    if len(memory) > REMEMBERED:
        memory.popitem(last=False)
