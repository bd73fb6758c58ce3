"""One device at work on programs: run on trials, compared, timed beside each other."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fitness import plan as plans
from fitness.gpu import arena
from fitness.gpu.arena import Set
from fitness.gpu.machine_code import MachineCode
from fitness.gpu.pair import Device, DeviceUnavailable, Fault, MachineFailed, NoRoom, Pair, RefereeFailed
from fitness.plan import LaunchPlan
from suites.task import ITEM_BYTES

GROUPS, MOST_SETS = 4, 512  # groups of sets at least, sets at most
KEPT_MODULES = 512  # of machine code in one bench
ITEM_US = 100.0  # a timed item lasts at least so long: events resolve about 1 us
ANCHOR = 64 << 20  # bytes the anchor copies at least; more where the last-level cache holds more


@dataclass(frozen=True, slots=True)
class Program:
    """A resolved plan with its machine code: what can be bound, run and timed."""

    plan: LaunchPlan
    code: Mapping[str, MachineCode]

    @property
    def digests(self) -> list[str]:
        """The kernel of every launch."""
        return [launch.chosen.kernel.digest for launch in self.plan.launches]


@dataclass(frozen=True, slots=True)
class Verified:
    """A program's output was right in every trial."""

    error: float  # largest ratio to a limit
    time_us: float  # of the last run, warm and alone: an estimate for planning, never a result


class Court(Pair):
    """Judges programs on one device, one task after another."""

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

    def verify(self, case: str, small: bool, trials: Sequence[str], program: Program, twice: bool = True) -> Verified:
        """Run a program on a case's trials and hold every output against its limits; Fault says what is wrong.

        Two sets of buffers take turns with two poisons, and while one is compared the next trial runs. With `twice`
        the first trial runs on both: what differs was never written, or depends on which program came first.
        """
        sets = self._lay(program.plan, 2)
        self._bind("candidate", program, sets)
        steps = [trials[0], *trials] if twice else list(trials)
        keys = [[case, small, trial] for trial in steps]
        given = [self._given(program.plan, s) for s in sets]
        left = [self._left(program.plan, s) for s in sets]
        self._ask("fill", keys[0], [given[0]])
        worst, time_us = 0.0, 0.0
        for number in range(len(steps)):
            # while the bench works on this step's set, the referee looks at the last step's and fills it for the next
            other = (number + 1) % 2
            checked = [keys[number - 1], *left[other]] if number else None
            filled = [keys[number + 1], [given[other]]] if number + 1 < len(steps) else None
            again = twice and number == 1
            self._run_later("run", "candidate", number % 2, arena.POISONS[number % 2], self._seconds)
            self._ask_later("turn", checked, None if again else filled)
            ratio, time_us = self._both(steps[number - 1])
            worst = max(worst, ratio)
            if again:
                self._repeats(keys[1], left[1], program.plan, sets)
                if filled:
                    self._ask("fill", *filled)
        return Verified(max(worst, self._judged(steps[-1], self._ask("check", keys[-1], *left[number % 2]))), time_us)

    def verify_memory(self, case: str, trials: Sequence[str], program: Program) -> None:
        """Run a program on memory that holds its own last results: what relies on finding them is refused.

        First on inputs of which one element of each changed, then on the same with half of the outputs lost.
        """
        (place,) = self._lay(program.plan, 1)
        self._bind("candidate", program, [place])
        given, left = [self._given(program.plan, place)], self._left(program.plan, place)
        self._ask("fill", [case, False, trials[0]], given)
        self._run("run", "candidate", 0, arena.POISONS[0], self._seconds)
        key, said = [case, False, trials[-1]], trials[-1]
        for state in (arena.KEEP, arena.HALF):
            self._ask("fill", key, given)
            self._run("run", "candidate", 0, state, self._seconds)
            try:
                self._judged(said, self._ask("check", key, *left))
            except Fault as fault:
                raise Fault(fault.kind, f"on memory that holds the results of a run before; {fault}") from fault

    def _both(self, trial: str) -> tuple[float, float]:
        """Take both answers, whatever one of them says, so that the next question finds both sides listening."""
        faults, ratio, time_us = [], 0.0, 0.0
        verdict = self._answered()
        try:
            ratio = self._judged(trial, verdict) if verdict else 0.0
        except Fault as fault:
            faults.append(fault)
        try:
            time_us = self._ran()
        except Fault as fault:
            faults.append(fault)
        if faults:
            raise faults[0]
        return ratio, time_us

    def _repeats(self, key: Any, left: Any, plan: LaunchPlan, sets: Sequence[Set]) -> None:
        """Refuse what gives other bytes on the same inputs; a result that is wrong is told as such."""
        if not self.task.atomics and not self._same(plan, *sets):
            self._judged(key[2], self._ask("check", key, *left))
            raise Fault("race", f"{_said(key[2])}: two runs on the same inputs give different bytes")

    def matmul_tflops(self, dtype: str) -> float:
        """Measure the rate of a large matrix product through the vendor's library."""
        self.drop_bench()  # its memory is the referee's for that long
        rate = float(self._ask("matmul_tflops", dtype))
        self.start()
        return rate

    def trials(self, case: str, small: bool) -> list[str]:
        """List a case's trials."""
        self.start()
        if (case, small) not in self._names:
            self._names[case, small] = list(self._ask("names", case, small))
        return list(self._names[case, small])

    def _lay(self, plan: LaunchPlan, count: int, start: int | None = None) -> list[Set]:
        """Lay out sets of buffers, from a random place on if none is given."""
        if start is None:  # anywhere: an address must not tell that this run is not timed
            room = self._arena - count * (arena.size(plan) + arena.ALIGNMENT)
            start = self._rng.randrange(max(64, room // arena.ALIGNMENT)) * arena.ALIGNMENT
        sets: list[Set] = []
        for _ in range(count):
            sets.append(arena.place(plan, sets[-1].end if sets else start))
        if sets[-1].end > self._arena:
            need = (sets[-1].end - start) / (1 << 30)
            raise Fault("memory", f"{count} copies of its buffers take {need:.1f} GiB of the device; there are "
                        f"{self._arena / (1 << 30):.1f}")  # fmt: skip
        return sets

    def _bind(self, key: str, program: Program, sets: Sequence[Set]) -> None:
        self.load(program)
        self._run("bind", key, plans.pack(program.plan), program.digests, [s.bodies for s in sets])

    def _given(self, plan: LaunchPlan, place: Set) -> list[Any]:
        """Say where a set's inputs and red zones lie."""
        return [_inputs(plan, place, ()), place.guards]

    def _check(self, key: Any, plan: LaunchPlan, place: Set) -> float:
        """Ask the referee about one replay."""
        return self._judged(key[2], self._ask("check", key, *self._left(plan, place)))

    def _left(self, plan: LaunchPlan, place: Set) -> list[Any]:
        """Say where a replay's inputs, red zones and outputs are to be looked at."""
        named = [f"input `{b.input}`" if b.input else "an allocation" for b in plan.buffers for _ in range(2)]
        guards = [[o, n, what] for (o, n), what in zip(place.guards, named, strict=True)]
        outputs = [[place.bodies[v.buffer] + v.offset, v.dtype, v.shape] for v in plan.outputs]
        return [_inputs(plan, place, self.task.in_place), guards, outputs]

    def _judged(self, trial: str, answer: Any) -> float:
        kind, complaint, ratio = answer
        if kind:
            raise Fault(kind, f"{_said(trial)}: {complaint}")
        return float(ratio)

    def _same(self, plan: LaunchPlan, one: Set, other: Set) -> bool:
        stretches = [(v.buffer, v.offset, math.prod(v.shape) * ITEM_BYTES[v.dtype]) for v in plan.outputs]
        return bool(self._ask("same", [[one.bodies[b] + o, other.bodies[b] + o, n] for b, o, n in stretches]))

    def estimate(self, program: Program) -> float:
        """Return microseconds of a warm run of a program that was verified last."""
        return float(min(self._run("run", "candidate", 0, arena.POISONS[0], self._seconds) for _ in range(2)))

    def time(self, case: str, programs: Sequence[Program], estimates: Sequence[float], pairs: int,
             again: str | None = None) -> Any:  # fmt: skip
        """Time programs on one case, interleaved; verify what was timed of the first one, which is on trial.

        With `again` the same graphs then run once more on inputs of which one element changed, and are looked at: by
        then a program has seen the same data often enough to be answering from memory. Returns for every program
        its microseconds by cycle and group of sets, and the anchor's by cycle.
        """
        first, anchor, flush = self._shared_places()
        self.load(*programs)
        count, batch = self._pool(programs, estimates, self._arena - first)
        sets = self._lay_together([p.plan for p in programs], count, first)
        for number, program in enumerate(programs):
            self._bind(f"timed {number}", program, sets[number])
        groups, turns = count // batch, list(range(len(programs)))
        cycles = -(-pairs // groups)
        how = (batch, flush, anchor)
        limit = self._seconds + 3e-6 * sum(estimates) * count * cycles
        samples: list[list[Any]] = [[] for _ in programs]
        anchors: list[Any] = []
        if not self.task.in_place:
            samples, anchors = self._time_part([case, False, "base"], programs, sets, (cycles, turns, *how), limit)
            self._watch([case, False, "base"], programs[0], sets, batch)
        for _ in range(cycles if self.task.in_place else 0):  # what changes its inputs needs them fresh for every turn
            parts = [self._time_part([case, False, "base"], programs, sets, (1, [turn], *how), limit) for turn in turns]
            for number, found in enumerate(samples):
                found.append([max(group) for group in zip(*(p[0][number][0] for p in parts), strict=True)])
            anchors.append([a for p in parts for a in p[1][0]])
            self._watch([case, False, "base"], programs[0], sets, batch)
        if again is not None:
            self._time_part([case, False, again], programs, sets, (1, turns, *how), limit)
            self._watch([case, False, again], programs[0], sets, batch)
        return samples, anchors

    def _time_part(self, key: Any, programs: Sequence[Program], sets: Sequence[Sequence[Set]], how: tuple[Any, ...],
                   seconds: float) -> Any:  # fmt: skip
        """Fill, then time: `how` is cycles, turns, the batch, and where flush and anchor lie."""
        self._ask("fill", key, [[_inputs(programs[0].plan, s, ()), s.guards[:0]] for s in sets[0]])
        names = [f"timed {n}" for n in range(len(programs))]
        self._run_later("time", names, *how, self._rng.randrange(1 << 30), seconds)
        return self._ran(seconds)

    def _watch(self, key: Any, program: Program, sets: Sequence[Sequence[Set]], batch: int) -> None:
        """Check, at random, what the last timed round left behind by the first program."""
        groups, count = len(sets[0]) // batch, len(sets)
        own = [g for g in range(groups) if (g + count - 1) % count == 0]  # of the last round
        place = sets[0][self._rng.choice(own) * batch + self._rng.randrange(batch)]
        inputs, _, outputs = self._left(program.plan, place)
        try:
            self._judged(key[2], self._ask("check", key, inputs, [], outputs))
        except Fault as fault:
            raise Fault(fault.kind, f"the output of a timed run is wrong; {fault}") from fault

    def _lay_together(self, plan_list: Sequence[LaunchPlan], count: int, start: int) -> list[list[Set]]:
        """Lay out the same sets for several plans: their inputs come first and lie at the same addresses."""
        given = [[(b.input, b.bytes) for b in p.buffers if b.input] for p in plan_list]
        if any(
            [(b.input, b.bytes) for b in p.buffers[: len(g)]] != given[0] for p, g in zip(plan_list, given, strict=True)
        ):
            raise Fault("plan", "a plan's inputs must come first")
        start += self._rng.randrange(64) * arena.ALIGNMENT
        sets: list[list[Set]] = [[] for _ in plan_list]
        for _ in range(count):
            for found, plan in zip(sets, plan_list, strict=True):
                found.append(arena.place(plan, start))
            start = max(found[-1].end for found in sets)
        if start > self._arena:
            raise Fault("memory", f"{count} copies of its buffers do not fit into {self._arena / 2**30:.0f} GiB")
        return sets

    def _shared_places(self) -> tuple[int, tuple[int, int, int], tuple[int, int]]:
        """Lay out what all programs share: the anchor's two buffers, and what flushes the cache."""
        flush, side = max(2 * self.device.cache, 128 << 20), max(ANCHOR, self.device.cache)
        return 2 * side + flush, (0, side, side), (2 * side, flush)

    def _pool(self, programs: Sequence[Program], estimates: Sequence[float], room: int) -> tuple[int, int]:
        """Choose how many sets all programs rotate through, and how many replays make one timed item."""
        largest = max(arena.size(p.plan) for p in programs)
        batch = max(1, round(ITEM_US / max(min(estimates), 1.0)))
        cold = -(-2 * self.device.cache // min(arena.size(p.plan) for p in programs))
        most = min(MOST_SETS, (room - 64 * arena.ALIGNMENT) // largest)
        if most < len(programs):
            raise Fault("memory", f"{len(programs)} copies of {largest / 2**30:.1f} GiB of buffers do not fit")
        groups = max(len(programs), min(GROUPS, most))
        batch = max(1, min(batch, most // groups))
        groups = max(groups, min(-(-cold // batch), most // batch))
        return groups * batch, batch


def _inputs(plan: LaunchPlan, place: Set, without: Sequence[str]) -> list[Any]:
    pairs = zip(plan.buffers, place.bodies, strict=True)
    return [[b.input, offset] for b, offset in pairs if b.input is not None and b.input not in without]


def _said(trial: str) -> str:
    return "its own inputs" if trial == "base" else f"{trial} inputs"


__all__ = [
    "Court",
    "Device",
    "DeviceUnavailable",
    "Fault",
    "MachineFailed",
    "NoRoom",
    "Program",
    "RefereeFailed",
    "Verified",
]
