"""One device at work: a bench that runs machine code and a referee that judges it, replaced when they are lost."""

import logging
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fitness import plan as plans
from fitness.gpu import arena
from fitness.gpu.arena import Set
from fitness.gpu.machine_code import MachineCode
from fitness.gpu.process import Lost, Process
from fitness.plan import LaunchPlan
from fitness.targets import Target
from suites import Task
from suites import task as tasks

logger = logging.getLogger(__name__)

START_SECONDS = 120.0
ARENA_SHARE, REFEREE_SHARE = 0.35, 0.35  # of the device's memory
OTHERS = 2 << 30  # bytes in use by someone else that are still called an idle device
COLD_SETS, MOST_SETS = 4, 256
ITEM_US = 100.0  # a timed item lasts at least so long: events resolve about 1 us
ANCHOR = 64 << 20  # bytes the anchor copies


class Fault(Exception):
    """A candidate's machine code did something wrong on the device, or its output is; `kind` names it."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


class DeviceUnavailable(Exception):
    """This machine's GPU cannot be used for this: one clear line."""


class RefereeFailed(Exception):
    """The task's own code failed on the device."""


@dataclass(frozen=True, slots=True)
class Device:
    """The device as its driver and torch describe it."""

    name: str
    arch: str | int
    cache: int  # bytes of last-level cache
    units: int
    memory: int
    torch: str


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


class Court:
    """Judges one task's programs on one device."""

    def __init__(self, task: Task, target: Target, seed: int, index: int = 0, seconds: float = 10.0) -> None:
        self.task, self._target, self._index, self._seconds = task, target, index, seconds
        self._rng = random.Random(seed)
        self._seed = seed
        self._bench: Process | None = None
        self._referee: Process | None = None
        self._arena = 0
        self._device: Device | None = None
        self.faults = 0

    @property
    def device(self) -> Device:
        """The device, once it was started."""
        if self._device is None:
            raise DeviceUnavailable("the device was not started")
        return self._device

    def start(self) -> None:
        """Start both processes; DeviceUnavailable says in one line why there is no judging here."""
        if self._referee is None:
            options = {"backend": self._target.backend, "index": self._index}
            self._referee = Process("fitness.gpu.referee", {**options, "memory": 0})
            name, arch, cache, units, memory, version = self._started(self._referee)
            self._device = Device(name, arch, max(cache, self._target.cache_mb << 20), units, memory, version)
            if arch != self._target.arch:
                raise DeviceUnavailable(
                    f"this GPU is {name} ({_arch(arch)}); it cannot measure for {self._target.name} "
                    f"({_arch(self._target.arch)}): choose its own target, or predict without a GPU"
                )
            self._ask("limit", int(memory * REFEREE_SHARE))
            self._ask("begin", tasks.pack(self.task), self._seed)
        if self._bench is None:
            self._start_bench()

    def _start_bench(self) -> None:
        """Start a bench and have the referee map its memory."""
        size = int(self.device.memory * ARENA_SHARE) >> 20 << 20
        options = {"backend": self._target.backend, "index": self._index, "arena": size}
        self._bench = Process("fitness.gpu.bench", options)
        _, free, total, self._arena, handle = self._started(self._bench)
        self._ask("map", handle, self._arena)
        self.free = free + self._arena

    def _started(self, process: Process) -> Any:
        """Take a process's greeting."""
        try:
            state, *rest = process.answer(START_SECONDS)
        except Lost as error:
            raise DeviceUnavailable(f"a process for the GPU could not start: {error}") from error
        if state != "ok":
            raise DeviceUnavailable(rest[1])
        return rest[0]

    def close(self) -> None:
        """End both processes and give the device's memory back."""
        self.drop_bench()
        if self._referee is not None:
            self._referee.kill()
            self._referee = None

    def drop_bench(self) -> None:
        """End the bench: the next question starts a fresh one."""
        if self._bench is not None:
            self._bench.kill()
            self._bench = None
            if self._referee is not None:
                self._ask("unmap")

    def pids(self) -> list[int]:
        """Return the processes, for those who watch or kill them."""
        return [p.pid for p in (self._bench, self._referee) if p is not None]

    def _ask(self, *question: Any) -> Any:
        """Ask the referee; what goes wrong there is the task's fault or the machine's."""
        if self._referee is None:
            raise RefereeFailed("the referee is gone")
        try:
            state, *rest = self._referee.ask(*question, seconds=300.0)
        except Lost as error:
            self._referee.kill()
            self._referee = None
            raise RefereeFailed(f"the referee was lost: {error}") from error
        if state != "ok":
            kind, message = rest
            raise (DeviceUnavailable if kind == "no-device" else RefereeFailed)(message)
        return rest[0]

    def _run(self, *question: Any, seconds: float | None = None) -> Any:
        """Ask the bench; after any fault it is replaced, because a context that saw one cannot be trusted."""
        self.start()
        assert self._bench is not None
        limit = seconds or self._seconds
        try:
            state, *rest = self._bench.ask(*question, seconds=limit + 5.0)
        except Lost as error:
            self._replace()
            if error.hung:
                raise Fault("timeout", f"did not finish on the device within {limit:g} s") from error
            raise Fault("crash", f"the process that ran it died: {error}") from error
        if state == "ok":
            return rest[0]
        kind, message = rest
        if kind != "plan":
            self._replace()
        if kind == "timeout":
            message = f"did not finish on the device within {limit:g} s"
        raise Fault(kind, message)

    def _replace(self) -> None:
        """Put a fresh bench in the place of one that saw a fault."""
        self.faults += 1
        self.drop_bench()
        self.start()

    def load(self, program: Program) -> None:
        """Give the bench the machine code that it does not have."""
        missing = self._run("has", program.digests)
        if missing:
            self._run("load", [[d, program.code[d].plain()] for d in dict.fromkeys(missing)])

    def verify(self, case: str, small: bool, trials: Sequence[str], program: Program) -> Verified:
        """Run a program on a case's trials and hold every output against its limits; Fault says what is wrong.

        The first trial runs twice, on two sets of buffers with different poisons: what differs was never written,
        or depends on which program came first.
        """
        sets = self._lay(program.plan, 2)
        self._bind("candidate", program, sets)
        worst, time_us = 0.0, 0.0
        for number, trial in enumerate(trials):
            key = [case, small, trial]
            used = sets if number == 0 else sets[:1]
            self._ask("fill", key, [self._given(program.plan, s) for s in used])
            for place, chosen in enumerate(used):
                time_us = self._run("run", "candidate", place, arena.POISONS[(number + place) % 2], self._seconds)
                worst = max(worst, self._check(key, program.plan, chosen))
            if number == 0 and not self.task.atomics and not self._same(program.plan, *sets):
                raise Fault("race", f"{_said(trial)}: two runs on the same inputs give different bytes")
        return Verified(worst, time_us)

    def trials(self, case: str, small: bool) -> list[str]:
        """List a case's trials."""
        self.start()
        return list(self._ask("names", case, small))

    def _lay(self, plan: LaunchPlan, count: int, start: int | None = None) -> list[Set]:
        """Lay out sets of buffers, from a random place on if none is given."""
        if start is None:
            start = self._rng.randrange(64) * arena.ALIGNMENT
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
        named = [f"input `{b.input}`" if b.input else "an allocation" for b in plan.buffers for _ in range(2)]
        guards = [[o, n, f"{what}"] for (o, n), what in zip(place.guards, named, strict=True)]
        outputs = [[place.bodies[v.buffer] + v.offset, v.dtype, v.shape] for v in plan.outputs]
        kind, complaint, ratio = self._ask("check", key, _inputs(plan, place, self.task.in_place), guards, outputs)
        if kind:
            raise Fault(kind, f"{_said(key[2])}: {complaint}")
        return float(ratio)

    def _same(self, plan: LaunchPlan, one: Set, other: Set) -> bool:
        size = {v.buffer: plan.buffers[v.buffer].bytes for v in plan.outputs}
        return bool(self._ask("same", [[one.bodies[b], other.bodies[b], n] for b, n in size.items()]))

    def estimate(self, program: Program) -> float:
        """Return microseconds of a warm run of a program that was verified last."""
        return float(min(self._run("run", "candidate", 0, arena.POISONS[0], self._seconds) for _ in range(2)))

    def time(self, case: str, programs: Sequence[Program], estimates: Sequence[float], pairs: int) -> Any:
        """Time programs on one case, interleaved, and verify what was timed.

        Returns for every program its microseconds by round and item, and the anchor's.
        """
        first, anchor, flush = self._shared_places()
        count, batch = self._pool(programs, estimates, self._arena - first)
        laid, start = [], first
        for number, program in enumerate(programs):
            sets = self._lay(program.plan, count, start + self._rng.randrange(64) * arena.ALIGNMENT)
            start = sets[-1].end
            self._bind(f"timed {number}", program, sets)
            laid.append(sets)
        key = [case, False, "base"]
        rounds = max(1, -(-pairs // max(1, count // batch)))
        if self.task.in_place:
            parts = [self._time_round(key, programs, laid, batch, 1, flush, anchor) for _ in range(rounds)]
            samples = [sum((p[0][i] for p in parts), []) for i in range(len(programs))]
            result = [samples, sum((p[1] for p in parts), [])]
        else:
            result = self._time_round(key, programs, laid, batch, rounds, flush, anchor)
        for number in range(len(programs)):
            self._run("drop", f"timed {number}")
        return result

    def _time_round(self, key: Any, programs: Sequence[Program], laid: Sequence[Sequence[Set]], batch: int,
                    rounds: int, flush: Any, anchor: Any) -> Any:  # fmt: skip
        """Fill, time, and check sets that were timed, at random."""
        for program, sets in zip(programs, laid, strict=True):
            self._ask("fill", key, [self._given(program.plan, s) for s in sets])
        names = [f"timed {n}" for n in range(len(programs))]
        result = self._run(
            "time", names, [batch] * len(programs), rounds, flush, anchor, self._rng.randrange(1 << 30), self._seconds
        )
        timed = len(laid[0]) // batch * batch
        for program, sets in zip(programs, laid, strict=True):
            for place in {timed - 1, self._rng.randrange(timed)}:
                try:
                    self._check(key, program.plan, sets[place])
                except Fault as fault:
                    raise Fault(fault.kind, f"the output of a timed run is wrong; {fault}") from fault
        return result

    def _shared_places(self) -> tuple[int, tuple[int, int, int], tuple[int, int]]:
        """Lay out what all programs share: the anchor's two buffers, and what flushes the cache."""
        flush = max(2 * self.device.cache, 128 << 20)
        return 2 * ANCHOR + flush, (0, ANCHOR, ANCHOR), (2 * ANCHOR, flush)

    def _pool(self, programs: Sequence[Program], estimates: Sequence[float], room: int) -> tuple[int, int]:
        """Choose how many sets each program rotates through, and how many replays make one timed item."""
        smallest = min(arena.size(p.plan) for p in programs)
        largest = sum(arena.size(p.plan) for p in programs)
        quickest = max(min(estimates), 1.0)
        batch = min(MOST_SETS, max(1, round(ITEM_US / quickest)))
        cold = -(-2 * self.device.cache // smallest)
        count = min(MOST_SETS, max(COLD_SETS, batch, cold), max(1, room // (largest + (64 * arena.ALIGNMENT))))
        batch = min(batch, count)
        return count // batch * batch, batch


def _inputs(plan: LaunchPlan, place: Set, without: Sequence[str]) -> list[Any]:
    pairs = zip(plan.buffers, place.bodies, strict=True)
    return [[b.input, offset] for b, offset in pairs if b.input is not None and b.input not in without]


def _said(trial: str) -> str:
    return "its own inputs" if trial == "base" else f"{trial} inputs"


def _arch(arch: str | int) -> str:
    return arch if isinstance(arch, str) else f"sm_{arch}"
