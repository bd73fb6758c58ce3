"""Whether programs are right on one device: run on trials, then compared, many trials at a time.

Bench and referee take turns on the device, and each turn costs as much as a trial does: all inputs are filled, then all
runs are made, then all outputs are compared.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from fitness import plan as plans
from fitness.gpu import arena
from fitness.gpu.arena import Set
from fitness.gpu.errors import Fault
from fitness.gpu.machine_code import MachineCode
from fitness.gpu.pair import Pair
from fitness.plan import LaunchPlan
from suites.task import ITEM_BYTES

KEPT_MODULES = 512  # of machine code in one bench


@dataclass(frozen=True)
class Program:
    """A resolved plan with its machine code: what can be bound, run and timed."""

    plan: LaunchPlan
    code: Mapping[str, MachineCode]

    @cached_property
    def digests(self) -> list[str]:
        """The kernel of every launch."""
        return [launch.chosen.kernel.digest for launch in self.plan.launches]

    @cached_property
    def packed(self) -> list[Any]:
        """The plan for the bench, which has no use for a kernel's text."""
        return plans.pack(plans.without_text(self.plan))


@dataclass(frozen=True, slots=True)
class Hearing:
    """A program that is to be heard on trials of one case.

    With `twice` the first trial runs on two sets of buffers that hold different poisons: what differs was never
    written, or depends on which of the kernel's programs came first.
    """

    case: str
    trials: tuple[str, ...]
    program: Program
    twice: bool = True


@dataclass(frozen=True, slots=True)
class Verified:
    """A program's output was right in every trial."""

    error: float  # largest ratio to a limit
    time_us: float  # of its fastest run, alone: an estimate for planning, never a result


@dataclass(frozen=True, slots=True)
class Step:
    """One run of a hearing on a set of buffers of its own; `twin` is the set of the run that it must equal."""

    hearing: int
    trial: str
    place: Set
    twin: Set | None = None


class Hearings(Pair):
    """Runs programs on trials and holds every output against its limits."""

    def load(self, *programs: Program) -> None:
        """Give the bench the machine code that it does not have; all of it at once, for making room unbinds."""
        self.start()
        wanted = {d: p.code[d] for p in programs for d in p.digests}
        missing = [d for d in wanted if d not in self._loaded]
        if missing and len(self._loaded) + len(missing) > KEPT_MODULES:
            self._run("unload")
            self._loaded.clear()
            missing = list(wanted)
        if missing:
            self._run("load", [[d, wanted[d].plain()] for d in missing])
            self._loaded |= set(missing)

    def trials(self, case: str) -> list[str]:
        """List a case's trials."""
        self.start()
        if case not in self._names:
            self._names[case] = list(self._ask("names", case))
        return list(self._names[case])

    def news(self) -> dict[str, tuple[float, ...]]:
        """Return the limits that the referee computed since this was last asked, in a few numbers each."""
        return {str(name): tuple(map(float, figures)) for name, figures in self._ask("news")}

    def verify(self, hearings: Sequence[Hearing]) -> list[Verified]:
        """Hear all; Fault says what the first that is wrong does, and in which case.

        Seen are writes into red zones, into inputs, and into the outputs of every run. One that lands farther away is
        not seen here and changes nothing that is looked at: the next sitting fills all that it reads. What a program
        could keep there for later replays is looked for where its time is told (`Court._timed`).
        """
        self.load(*(h.program for h in hearings))
        errors, times = [0.0] * len(hearings), [math.inf] * len(hearings)
        for steps in self._sittings(hearings):
            with self._turns.alone():
                ratios, took = self._sit(hearings, steps)
            for step, ratio, time_us in zip(steps, ratios, took, strict=True):
                errors[step.hearing] = max(errors[step.hearing], ratio)
                times[step.hearing] = min(times[step.hearing], time_us)
        return [Verified(error, time_us) for error, time_us in zip(errors, times, strict=True)]

    def verify_memory(self, case: str, trials: Sequence[str], program: Program) -> None:
        """Run a program on memory that holds its own last results: what relies on finding them is refused.

        First on inputs of which one element of each changed, then on the same with half of the outputs lost.
        """
        plan = program.plan
        size = arena.size(plan)
        start, room = self._begin(size)
        if size > room:
            raise self._too_large(1, size, case)
        place = arena.place(plan, start)
        self.load(program)
        self._bind([("heard alone", program, [place], case)])
        try:
            self._run_on([case, trials[0]], plan, place, arena.POISONS[0])
            for state in (arena.KEEP, arena.HALF):
                self._run_on([case, trials[-1]], plan, place, state)
                self._checked([self._left([case, trials[-1]], plan, place)])
        except Fault as fault:
            raise Fault(fault.kind, f"after a run on the same memory; {fault}", case=case) from fault

    def _run_on(self, key: Any, plan: LaunchPlan, place: Set, state: int) -> None:
        """Fill the one set of a program, then run it on memory in a state."""
        with self._turns.alone():
            self._ask("fill", [[key, [self._given(plan, place)], False]])
            self._run("runs", [["heard alone", 0, state]], self._seconds)

    def _sittings(self, hearings: Sequence[Hearing]) -> Iterator[list[Step]]:
        """Lay out as many runs at a time as the arena has room for; twins stay together."""
        laid: list[Step] = []
        start = room = 0
        for number, one in enumerate(hearings):
            size = arena.size(one.program.plan) + arena.ALIGNMENT
            units = [2 if one.twice else 1, *[1] * (len(one.trials) - 1)]
            for trial, count in zip(one.trials, units, strict=True):
                if laid and count * size > room:
                    yield laid
                    laid = []
                if not laid:
                    start, room = self._begin(sum(size * u for u in units))
                if count * size > room:
                    raise self._too_large(count, count * size, one.case)
                twin = None
                for _ in range(count):
                    place = arena.place(one.program.plan, start)
                    laid.append(Step(number, trial, place, twin))
                    twin, room, start = place, room - (place.end - start), place.end
        if laid:
            yield laid

    def _sit(self, hearings: Sequence[Hearing], steps: Sequence[Step]) -> tuple[list[float], list[float]]:
        """Fill, run and compare; return each run's ratio to its limits, and its microseconds."""
        keys = [[hearings[s.hearing].case, s.trial] for s in steps]
        plan_list = [hearings[s.hearing].program.plan for s in steps]
        places = {s.hearing: [t.place for t in steps if t.hearing == s.hearing] for s in steps}
        filled = [[k, [self._given(p, s.place)], False] for k, p, s in zip(keys, plan_list, steps, strict=True)]
        with self._asking("fill", filled):
            heard = [(f"hearing {n}", hearings[n], sets) for n, sets in places.items()]
            self._bind([(key, one.program, sets, one.case) for key, one, sets in heard])
        runs = [[key, n, arena.POISONS[n % 2]] for key, _, sets in heard for n in range(len(sets))]
        looked = [self._left(k, p, s.place, s.twin) for k, p, s in zip(keys, plan_list, steps, strict=True)]
        try:
            took = self._run("runs", runs, self._seconds, patience=self._seconds * len(runs))
            return self._checked(looked), list(took)
        except Fault as fault:
            if fault.step is None:
                raise
            step = steps[fault.step]
            raise Fault(fault.kind, str(fault), case=hearings[step.hearing].case) from fault

    def _checked(self, looked: Sequence[Any]) -> list[float]:
        """Have the referee look at what runs left behind; return ratios to limits, or raise the first complaint."""
        verdicts = self._ask("check", looked)
        kind, complaint, _ = verdicts[-1]
        if kind:
            step = len(verdicts) - 1
            raise Fault(kind, f"{said(looked[step][0][1])}: {complaint}", step)
        return [float(ratio) for *_, ratio in verdicts]

    def _begin(self, wanted: int) -> tuple[int, int]:
        """Choose where sets begin, and what room they have: an address must not tell that a run is not timed."""
        spare = max(0, self._arena - wanted - arena.ALIGNMENT)
        start = self._rng.randrange(max(1, min(spare, self._arena // 8) // arena.ALIGNMENT)) * arena.ALIGNMENT
        return start, self._arena - start

    def _too_large(self, count: int, size: int, case: str) -> Fault:
        need, room = size / (1 << 30), self._arena / (1 << 30)
        return Fault("memory", f"its buffers, {count} times, take {need:.1f} GiB of the device; there are {room:.1f}",
                     case=case)  # fmt: skip

    def _bind(self, wanted: Sequence[tuple[str, Program, Sequence[Set], str]]) -> None:
        """Bind programs to sets, each under its key and for its case."""
        plain = [[key, p.packed, p.digests, [s.bodies for s in sets]] for key, p, sets, _ in wanted]
        try:
            self._run("bind", plain)
        except Fault as fault:
            raise Fault(fault.kind, str(fault), case=wanted[fault.step or 0][3]) from fault

    def _given(self, plan: LaunchPlan, place: Set) -> list[Any]:
        """Say where a set's inputs and red zones lie."""
        return [inputs(plan, place), place.guards]

    def _left(self, key: Any, plan: LaunchPlan, place: Set, twin: Set | None = None) -> list[Any]:
        """Say where a replay's inputs, red zones and outputs are to be looked at, and what they must equal."""
        named = [f"input `{b.input}`" if b.input else "an allocation" for b in plan.buffers for _ in range(2)]
        guards = [[o, n, what] for (o, n), what in zip(place.guards, named, strict=True)]
        outputs = [[place.bodies[v.buffer] + v.offset, v.dtype, v.shape] for v in plan.outputs]
        same = [] if twin is None or self.task.atomics else _stretches(plan, place, twin)
        return [key, inputs(plan, place, self.task.in_place), guards, outputs, same]


def inputs(plan: LaunchPlan, place: Set, without: Sequence[str] = ()) -> list[Any]:
    """Return where a set's inputs lie: [name, offset]."""
    pairs = zip(plan.buffers, place.bodies, strict=True)
    return [[b.input, offset] for b, offset in pairs if b.input is not None and b.input not in without]


def said(trial: str) -> str:
    """Name a trial in a message."""
    trial = trial.removeprefix("turned ")
    return "its own inputs" if trial == "base" else f"{trial} inputs"


def _stretches(plan: LaunchPlan, one: Set, other: Set) -> list[Any]:
    """Return where the outputs of two sets lie: [offset, other offset, bytes]."""
    found = [(v.buffer, v.offset, math.prod(v.shape) * ITEM_BYTES[v.dtype]) for v in plan.outputs]
    return [[one.bodies[b] + o, other.bodies[b] + o, n] for b, o, n in found]
