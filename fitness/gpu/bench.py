"""The process that runs candidates' machine code: no torch, no triton, no Python of a candidate, no truth.

It owns one allocation on the device, launches plans in it, and reads the clock. Whatever a kernel does wrong costs
this process alone: it is replaced in the time a context takes. Inputs come from another process, which maps the same
allocation and is the only one that knows what the outputs must be.
"""

import ctypes
import os
import random
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from fitness import plan as plans
from fitness import wire
from fitness.child import die_with_parent
from fitness.gpu import fills, machine_code, throttle
from fitness.gpu.api import Gpu
from fitness.gpu.arena import HALF, KEEP
from fitness.gpu.errors import DeviceError, NoDevice
from fitness.gpu.machine_code import BadPlan, MachineCode
from fitness.gpu.process import questions
from fitness.plan import LaunchPlan

ANCHORS = 2  # in every round
RESOLUTION_US = 0.5  # of an event; some give 0 for less
IMPATIENT = 0.005  # seconds to wait without sleep
SCRATCH = 1 << 30  # bytes for what kernels ask of the runtime: descriptors that programs of large grids make


@dataclass(slots=True)
class Bound:
    """One set of a program: what to fill, what to launch, what to poison."""

    steps: list[Callable[[], None]]
    poisoned: list[tuple[int, int]]  # address, bytes
    halves: list[tuple[int, int]]  # the second half of every output
    keep: list[Any] = field(default_factory=list)  # memory that launches point to


class Bench:
    """Loads machine code, binds plans to sets of buffers, runs and times them."""

    def __init__(self, backend: str, index: int, slot: str) -> None:
        self._gpu = Gpu(backend, index)
        self._watch = throttle.watch(backend, slot)
        self._size, self._arena = 0, 0
        self._scratch, self._scratched = 0, 0  # allocated for the first kernel that asks for any; bytes in use
        self._modules: dict[str, tuple[int, int, MachineCode]] = {}
        self._programs: dict[str, list[Bound]] = {}
        self._graphs: dict[str, list[int]] = {}
        self._events: list[int] = []
        self._pairs: list[tuple[int, int]] = []  # events, kept: thousands of programs are timed

    def open(self, arena: int) -> Any:
        """Take the device up with an arena of so many bytes; say what the device is and how to map the arena."""
        self._gpu.open()
        free, _ = self._gpu.memory()
        if free < arena + SCRATCH:
            need = (arena + SCRATCH) / 2**30
            raise NoDevice(
                f"the GPU has {free / 2**30:.1f} GiB free, {need:.1f} are needed: is somebody else using it?"
            )
        self._size = arena
        self._arena = self._gpu.allocate(arena)
        self._events = [self._gpu.event() for _ in range(2)]
        free, total = self._gpu.memory()
        return [self._gpu.name, free, total, self._size, self._gpu.export(self._arena)]

    def load(self, kernels: Any) -> Any:
        """Load machine code that is not there yet."""
        for digest, plain in kernels:
            if digest not in self._modules:
                code = machine_code.unpack(plain)
                self._modules[digest] = (*self._gpu.load(code.binary, code.symbol, code.shared), code)
        return len(self._modules)

    def unload(self) -> Any:
        """Forget all machine code, and what was bound to it."""
        for key in list(self._programs):
            self.drop(key)
        for module, _, _ in self._modules.values():
            self._gpu.unload(module)
        self._modules.clear()

    def bind(self, programs: Any) -> Any:
        """Bind resolved plans to sets of buffers: [key, plan, digests, for each set its buffers' offsets]."""
        for number, (key, packed, digests, sets) in enumerate(programs):
            with _step(number):
                self.drop(key)
                plan = plans.unpack(packed)
                bases = [[self._arena + o for o in offsets] for offsets in sets]
                try:
                    self._programs[key] = [self._bound(plan, digests, own) for own in bases]
                except (struct.error, ArithmeticError, ValueError, LookupError, TypeError) as error:
                    raise BadPlan(f"the plan cannot be launched: {error}") from error

    def drop(self, key: str) -> Any:
        """Forget a program."""
        for graph in self._graphs.pop(key, []):
            self._gpu.free_graph(graph)
        self._programs.pop(key, None)
        return None

    def _bound(self, plan: LaunchPlan, digests: Any, bases: list[int]) -> Bound:
        """Prepare everything one replay does, so that replaying costs a call each."""
        for buffer, base in zip(plan.buffers, bases, strict=True):
            if base < self._arena or base + buffer.bytes > self._arena + self._size:
                raise BadPlan("a buffer lies outside the arena")
        outputs = {view.buffer for view in plan.outputs}
        bound = Bound([], [], [])
        for number, (buffer, base) in enumerate(zip(plan.buffers, bases, strict=True)):
            if number in outputs and buffer.input is None:
                bound.halves.append((base + buffer.bytes // 2, buffer.bytes - buffer.bytes // 2))
        for buffer, base in zip(plan.buffers, bases, strict=True):
            if buffer.input is None and buffer.bytes:
                bound.poisoned.append((base, buffer.bytes))
                if buffer.fill is not None:
                    bound.steps.append(fills.step(self._gpu, buffer, base))
        for launch, digest in zip(plan.launches, digests, strict=True):
            _, function, code = self._modules[digest]
            grid = launch.chosen.grid
            blocks = grid[0] * grid[1] * grid[2] * code.ctas
            wanted = [size * blocks for size in code.scratch]
            if sum(wanted) > SCRATCH:
                raise DeviceError("scratch", "out of the runtime's scratch memory")
            if sum(wanted) and not self._scratch:
                self._scratch = self._gpu.allocate(SCRATCH)
            self._scratched = max(self._scratched, sum(wanted))
            addresses = (self._scratch, self._scratch + wanted[0])
            parameters, memory = _parameters(machine_code.arguments(launch, code, bases, addresses, self._gpu))
            bound.keep += [parameters, memory]
            bound.steps.append(self._launcher(function, grid, code, parameters))
        return bound

    def _launcher(
        self, function: int, grid: tuple[int, int, int], code: MachineCode, parameters: Any
    ) -> Callable[[], None]:
        gpu = self._gpu
        return lambda: gpu.launch(function, grid, code.threads, code.shared, parameters, code.ctas, code.cooperative)

    def runs(self, steps: Any, seconds: float) -> Any:
        """Replay plans, one after another: [key, set, poison]; return their microseconds.

        `poison` says what its memory holds before: a byte, or what the last replay left there (KEEP), or that with the
        second half of the outputs lost (HALF).
        """
        took = []
        for number, (key, place, poison) in enumerate(steps):
            with _step(number):
                took.append(self._replay(key, place, poison, seconds))
        return took

    def _replay(self, key: str, number: int, poison: int, seconds: float) -> float:
        bound = self._programs[key][number]
        if poison == HALF:
            for address, size in bound.halves:
                self._gpu.set8(address, 0xFF, size)
        elif poison != KEEP:
            self._poison(bound, poison)
        self._gpu.record(self._events[0])
        for step in bound.steps:
            step()
        self._gpu.record(self._events[1])
        self._wait(seconds)
        return self._gpu.elapsed_us(*self._events)

    def _poison(self, bound: Bound, byte: int) -> None:
        for address, size in bound.poisoned:
            self._gpu.set8(address, byte, size)

    def _wait(self, seconds: float) -> None:
        """Wait for the device, but not for ever: at first without sleep, which ends late on a machine that is busy."""
        began = time.monotonic()
        while self._gpu.busy():
            waited = time.monotonic() - began
            if waited > seconds:
                raise DeviceError("kernel", "CUDA_ERROR_LAUNCH_TIMEOUT")
            if waited > IMPATIENT:
                time.sleep(0.0002)

    def times(self, heats: Any) -> Any:
        """Time heats one after another; each is what `time` takes."""
        found = []
        for number, heat in enumerate(heats):
            with _step(number):
                found.append(self.time(*heat))
        return found

    def time(self, keys: Any, cycles: int, turns: Any, batch: int, flush: Any, anchor: Any, seed: int,
             seconds: float) -> Any:  # fmt: skip
        """Time programs against each other, interleaved: microseconds per replay by program, cycle and group of sets.

        All programs are bound to the same sets, in groups of `batch`. In a round each group is used by one program
        alone: everything is poisoned, the cache flushed, and all groups run in random order with the anchor among
        them, those that are compared side by side (`_order`). A cycle has a round for each of `turns`; with as many as
        programs, each was on every group once: what a place in memory is worth cancels out of the ratio. A round is
        queued before the device can reach it, so that no launch overhead is timed. Returns [samples by program],
        [the anchor's by cycle], and what held the device's clocks down, if anything did, for each cycle.
        """
        rng = random.Random(seed)
        graphs = [self._batches(key, batch) for key in keys]
        groups, programs = len(graphs[0]), len(keys)
        while len(self._pairs) < groups + ANCHORS:
            self._pairs.append((self._gpu.event(), self._gpu.event()))
        events = self._pairs[: groups + ANCHORS]
        samples: list[list[list[float]]] = [[[0.0] * groups for _ in range(cycles)] for _ in keys]
        anchors: list[list[float]] = [[] for _ in range(cycles)]
        readings = []
        for graph in (g for group in graphs for g in group):
            self._gpu.upload_graph(graph)  # the first launch would do it otherwise
        self._wait(seconds)
        for cycle in range(cycles):
            for turn in turns:
                users = [(group + turn) % programs for group in range(groups)]
                self._prepare(keys, users, batch, flush, rng)
                order = _order(groups, programs, rng)
                for (start, end), group in zip(events, order, strict=True):
                    self._gpu.record(start)
                    if group < 0:
                        self._gpu.copy(self._arena + anchor[0], self._arena + anchor[1], anchor[2])
                    else:
                        self._gpu.launch_graph(graphs[users[group]][group])
                    self._gpu.record(end)
                if turn == turns[-1] and cycle in (0, cycles - 1):
                    readings.append(self._watch.read())  # while the device works
                self._wait(seconds)
                for pair, group in zip(events, order, strict=True):
                    took = max(self._gpu.elapsed_us(*pair), RESOLUTION_US)
                    if group < 0:
                        anchors[cycle].append(took)
                    else:
                        samples[users[group]][cycle][group] = took / batch
        return [samples, anchors, [throttle.between(readings[0], readings[-1])] * cycles]

    def _prepare(self, keys: Any, users: list[int], batch: int, flush: Any, rng: random.Random) -> None:
        """Poison what every group's program will write, then push everything out of the cache.

        Scratch memory is the runtime's, in every launch anew: what a kernel left there is no more either.
        """
        if self._scratched:
            self._gpu.set8(self._scratch, 0xFF, self._scratched)
        for group, user in enumerate(users):
            for bound in self._programs[keys[user]][group * batch : (group + 1) * batch]:
                self._poison(bound, 0xFF)
        self._gpu.set8(self._arena + flush[0], rng.randrange(256), flush[1])

    def _batches(self, key: str, count: int) -> list[int]:
        """Capture a program's sets as graphs of `count` replays each."""
        if key not in self._graphs:
            bounds = self._programs[key]
            self._graphs[key] = []
            for first in range(0, len(bounds) - count + 1, count):
                self._gpu.begin_capture()
                for bound in bounds[first : first + count]:
                    for step in bound.steps:
                        step()
                self._graphs[key].append(self._gpu.end_capture())
        return self._graphs[key]


def _order(groups: int, programs: int, rng: random.Random) -> list[int]:
    """Order a round's groups at random, in blocks that each have every program once; -1 is the anchor.

    A device changes its speed for milliseconds, the first after a pause above all: by 0.3 us a launch on an H200. What
    lies side by side is fast or slow together.
    """
    blocks = [list(range(first, min(first + programs, groups))) for first in range(0, groups, programs)]
    for block in blocks:
        rng.shuffle(block)
    blocks += [[-1]] * ANCHORS
    rng.shuffle(blocks)
    return [group for block in blocks for group in block]


@contextmanager
def _step(number: int) -> Iterator[None]:
    """Say of a failure at which of the things asked for together it happened."""
    try:
        yield
    except (DeviceError, BadPlan) as error:
        error.step = number
        raise


def _parameters(encoded: list[bytes]) -> tuple[Any, Any]:
    """Return an array of addresses of arguments, and the memory they lie in."""
    memory = [ctypes.create_string_buffer(e, len(e)) for e in encoded]
    return (ctypes.c_void_p * max(1, len(memory)))(*[ctypes.addressof(m) for m in memory]), memory


def main(channel: int, options: dict[str, Any]) -> None:
    """Make ready without the device and say so, then serve until the other side hangs up."""
    die_with_parent()
    try:
        bench = Bench(options["backend"], options["index"], options["slot"])
    except (DeviceError, NoDevice) as error:
        wire.send(channel, ["failed", getattr(error, "kind", "no-device"), str(error)])
        os._exit(0)
    wire.send(channel, ["ok", None])
    for name, *arguments in questions(channel, lambda why: ["failed", "bench", why, None]):
        try:
            wire.send(channel, ["ok", getattr(bench, name)(*arguments)])
        except DeviceError as error:
            wire.send(channel, ["failed", error.kind, str(error), error.step])
        except BadPlan as error:
            wire.send(channel, ["failed", "plan", str(error), error.step])
        except NoDevice as error:
            wire.send(channel, ["failed", "bench", str(error), None])
        except Exception as error:  # noqa: BLE001  a bug of ours or of the driver's must not be a candidate's crash
            wire.send(channel, ["failed", "bench", f"{type(error).__name__}: {error}", None])
    os._exit(0)
