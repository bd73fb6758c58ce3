"""The process that knows what is right: the task's own code, inputs, truth and limits, in a context of its own.

Candidates' machine code runs in another process, whose memory this one maps; nothing of this process is mapped
there, so that no kernel can reach the truth by any address. It runs no code of a candidate.
"""

import os
import random
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from itertools import islice
from typing import Any

import torch
from triton.backends.compiler import GPUTarget

from fitness import wire
from fitness.child import die_with_parent
from fitness.gpu import compare, eager, matmul, storage, zones
from fitness.gpu.api import Gpu
from fitness.gpu.arena import GUARD_BYTE
from fitness.gpu.errors import DeviceError, NoDevice
from fitness.gpu.known import Known, learn
from fitness.gpu.process import questions
from fitness.gpu.sharing import SharedMemory
from suites import task as tasks
from suites.loading import Functions, functions
from suites.task import ITEM_BYTES, Input
from suites.trials import BASE, Trial, draw, trials

Key = tuple[str, str]  # case, trial
TURNED = "turned "  # before a trial's name: its inputs moved around
OTHERS = 4 << 30  # of memory that others hold over their parts: a judge's own contexts and code take one or two


class Referee:
    """Answers for one task at a time; has no context, nor memory of the device, before it is opened."""

    def __init__(self, backend: str, index: int, arch: str | int, wave: int) -> None:
        self._backend, self._memory, self._judges = backend, 0, 1
        self._device = f"cuda:{index}"
        os.environ.setdefault("CUDA_MODULE_LOADING", "LAZY")  # as torch has it; the driver reads it when it starts
        Gpu(backend, index)  # starts the driver
        compare.prepare(GPUTarget(backend, arch, wave))
        # the bank is honest arithmetic: sums of 16-bit products in float32, no tf32 behind anyone's back
        torch.backends.cuda.matmul.allow_tf32 = False
        torch.backends.cuda.matmul.allow_fp16_reduced_precision_reduction = False
        torch.backends.cuda.matmul.allow_bf16_reduced_precision_reduction = False
        self._known: OrderedDict[Key, Known] = OrderedDict()
        self._untold: dict[str, tuple[float, ...]] = {}  # limits in a few numbers, by case/trial/output
        self._mapping: SharedMemory | None = None
        self._arena = torch.empty(0, dtype=torch.uint8)
        self._task: tasks.Task | None = None
        self._functions: Functions | None = None
        self._seed = 0
        self._rng = random.Random(os.urandom(16))  # of what no record needs to repeat

    def open(self) -> Any:
        """Take the device up, compile all that comparing needs, and say what torch knows of the device."""
        try:
            torch.cuda.init()  # a torch without CUDA says so here in words
            torch.cuda.set_device(self._device)
            compare.warm_up(self._device)
            p = torch.cuda.get_device_properties(self._device)
        except (RuntimeError, AssertionError) as error:
            raise NoDevice(f"torch cannot use the GPU: {error}") from error
        arch = getattr(p, "gcnArchName", "").split(":")[0] if torch.version.hip else p.major * 10 + p.minor
        return [p.name, arch, p.L2_cache_size, p.multi_processor_count, p.total_memory, torch.__version__]

    def limit(self, memory: int, judges: int) -> Any:
        """Say how much device memory what is known of trials may take, and how many judges share the device."""
        self._memory, self._judges = memory, judges
        return None

    def shortage(self) -> list[str]:
        """Say why memory was not to be had: others hold more than theirs, or the task takes more than is for it.

        An even part of the device is every judge's. Where others leave that much, the task takes more than its judge's
        part, whoever the others are; where they do not, not all of them can be judges that keep to theirs.
        """
        free, total = torch.cuda.mem_get_info(self._device)
        own = torch.cuda.memory_reserved(self._device) + self._arena.numel()
        others = total - free - own
        beside = total - total // self._judges  # the parts of the judges that share the device with this one
        gib = [f"{n / 2**30:.1f}" for n in (free, total, own, others, beside)]
        held = f"{gib[0]} of {gib[1]} GiB are free, its judge holds {gib[2]}"
        if others > beside + OTHERS:
            part = f", {gib[4]} of which would be for the judges beside it" if beside else ""
            return [
                "crowded",
                f"too little memory is left on the GPU: {held}, others {gib[3]}{part}; run it when they are done",
            ]
        if others > OTHERS:
            part = f"it takes more memory than its judge's part, one of {self._judges} of the GPU: {held}"
            return ["memory", f"{part}, others {gib[3]}; fewer judges on one GPU would leave it more"]
        return ["memory", f"it takes more memory than the GPU has: {held}, others {gib[3]}"]

    def begin(self, packed: Any, seed: int) -> Any:
        """Take up a task; `seed` is secret to the judges of one run."""
        self._task, self._seed = tasks.unpack(packed), seed
        self._functions = functions(self._task)
        self._known.clear()
        self._untold.clear()
        return None

    def map(self, handle: bytes, size: int) -> Any:
        """Map the bench's memory."""
        self.unmap()
        self._mapping = SharedMemory(self._backend, handle)
        self._arena = storage.at(self._mapping.address, size, self._device)
        return None

    def unmap(self) -> Any:
        """Give the memory of a bench that is gone back."""
        torch.cuda.synchronize()
        self._arena = torch.empty(0, dtype=torch.uint8)
        if self._mapping is not None:
            self._mapping.close()
            self._mapping = None
        return None

    def forget(self) -> Any:
        """Give all memory back that can be made again, the bench's too."""
        self._known.clear()
        self.unmap()
        torch.cuda.empty_cache()
        return None

    def matmul_tflops(self, dtype: str) -> Any:
        """Measure the highest rate of large matrix products through torch."""
        return matmul.tflops(dtype, self._device)

    def eager_us(self, case: str, cache: int) -> Any:
        """Time the task's reference, in the dtypes of its inputs."""
        base = next(t for t in self._trials(case) if t.name == BASE)
        values = draw(base, self._seed, self._device)
        return eager.median_us(partial(self._own.reference, *values.values()), cache, self._device)

    def names(self, case: str) -> Any:
        """List a case's trials."""
        return [t.name for t in self._trials(case)]

    def news(self) -> Any:
        """Return the limits that were computed since this was last asked."""
        told, self._untold = self._untold, {}
        return [[name, list(figures)] for name, figures in told.items()]

    def clear(self, stretches: Any) -> Any:
        """Write what red zones hold over memory that is to be looked at: [offset, bytes]."""
        for offset, size in stretches:
            self._arena[offset : offset + size] = GUARD_BYTE
        torch.cuda.synchronize()
        return None

    def fill(self, parts: Any) -> Any:
        """Write trials' inputs, and the red zones, into sets of buffers: [key, sets, whether to move elements]."""
        for key, sets, moved in parts:
            known = self._find(*key)
            for inputs, guards in sets:
                for offset, size in guards:
                    self._arena[offset : offset + size] = GUARD_BYTE
                for name, offset in inputs:
                    data, item = known.inputs[name], known.items[name] if moved else 0
                    storage.write(self._arena, offset, data, self._rng.randrange(0, data.numel(), item) if item else 0)
        torch.cuda.synchronize()
        return None

    def check(self, parts: Any) -> Any:
        """Judge what replays left behind: red zones, inputs, outputs, and whether they equal those of another set.

        A part is [key, inputs, guards, outputs, same]. Returns [kind, complaint, ratio] of each, up to the first
        that is wrong; all are compared before the device is waited for.
        """
        known = [self._find(*key) for key, *_ in parts]
        told = [compare.schema(k.wanted, outputs) for k, (_, _, _, outputs, _) in zip(known, parts, strict=True)]
        looked = [(k, p) for k, p, t in zip(known, parts, told, strict=True) if not t]
        findings = [
            zones.broken(self._arena, [guard for _, _, guards, _, _ in parts for guard in guards]),
            compare.differ([pair for k, p in looked for pair in self._pairs(k, p)], self._device),
            *(
                compare.figures(self._view(*output), want)
                for k, (_, _, _, outputs, _) in looked
                for output, want in zip(outputs, k.wanted, strict=True)
            ),
        ]
        numbers = torch.cat(findings).tolist()  # the only wait for the device
        sizes = [len(f) for f in findings[:2]]
        broken, differing, figures = (
            iter(numbers[a:b]) for a, b in ((0, sizes[0]), (sizes[0], sum(sizes)), (sum(sizes), None))
        )
        verdicts: list[Any] = []
        for k, part, complaint in zip(known, parts, told, strict=True):
            own = list(islice(broken, len(part[2])))
            verdicts.append(
                ["schema", complaint, 0.0] if complaint else self._verdict(k, part, own, differing, figures)
            )
            if verdicts[-1][0]:
                break
        return verdicts

    def _pairs(self, known: Known, part: Any) -> list[tuple[torch.Tensor, torch.Tensor]]:
        """Return what must hold the same bytes: each input and what it was, each stretch and its twin."""
        _, inputs, _, _, same = part
        given = [(known.inputs[name], offset) for name, offset in inputs]
        pairs = [(self._arena[offset : offset + data.numel()], data) for data, offset in given]
        return pairs + [(self._arena[a : a + size], self._arena[b : b + size]) for a, b, size in same]

    def _verdict(self, known: Known, part: Any, broken: list[float], flags: Iterator[float], numbers: Iterator[float]
                 ) -> list[Any]:  # fmt: skip
        """Read the findings of one replay."""
        _, inputs, guards, outputs, same = part
        changed, differing = (list(islice(flags, len(group))) for group in (inputs, same))
        figures = list(islice(numbers, compare.FIGURES * len(outputs)))
        if any(broken):
            return ["out-of-bounds", f"the kernel writes outside {guards[broken.index(1.0)][2]}", 0.0]
        if any(changed):
            return ["input-changed", f"the kernel changes its input `{inputs[changed.index(1.0)][0]}`", 0.0]
        verdict = compare.read([self._view(*output) for output in outputs], known.wanted, figures)
        if not verdict[0] and any(differing):
            return ["race", "two runs on the same inputs give different bytes", 0.0]
        return verdict

    def _view(self, offset: int, dtype: str, shape: Any) -> torch.Tensor:
        size = ITEM_BYTES[dtype]
        for n in shape:
            size *= n
        return self._arena[offset : offset + size].view(getattr(torch, dtype)).view(tuple(shape))

    @property
    def _own(self) -> Functions:
        if self._functions is None:
            raise ValueError("no task was begun")
        return self._functions

    def _trials(self, case: str) -> tuple[Trial, ...]:
        if self._task is None:
            raise ValueError("no task was begun")
        return trials(self._task, self._task.case(case), small=False)

    def _find(self, case: str, trial: str) -> Known:
        """Return what is known of a trial, computed the first time; what was used longest ago makes room."""
        key = (case, trial)
        if key not in self._known:
            self._make_room(key)
            name = trial.removeprefix(TURNED)
            wanted = next(t for t in self._trials(case) if t.name == name)
            self._known[key] = learn(self._own, wanted, self._seed, self._device, turned=name != trial)
            self._untold |= {f"{case}/{trial}/{n}": y.figures for n, y in enumerate(self._known[key].wanted)}
            while len(self._known) > 1 and sum(k.bytes for k in self._known.values()) > self._memory:
                self._known.popitem(last=False)
            if torch.cuda.memory_reserved(self._device) > 1.5 * self._memory:  # each time would cost 10 ms and more
                torch.cuda.empty_cache()
        self._known.move_to_end(key)
        return self._known[key]

    def _make_room(self, key: Key) -> None:
        """Forget everything before a trial whose truth takes most of the memory while it is made."""
        largest = sum(a.bytes for a in self._arguments(key).values() if isinstance(a, Input))
        if 16 * largest > self._memory:
            self._known.clear()
            torch.cuda.empty_cache()

    def _arguments(self, key: Key) -> Mapping[str, Any]:
        if self._task is None:
            raise ValueError("no task was begun")
        return self._task.case(key[0]).arguments(small=False)


def main(channel: int, options: dict[str, Any]) -> None:
    """Make ready without the device and say so, then serve until the other side hangs up.

    An error here is the task's or the machine's, never a candidate's.
    """
    die_with_parent()
    try:
        referee = Referee(options["backend"], options["index"], options["arch"], options["wave"])
    except (DeviceError, NoDevice) as error:
        wire.send(channel, ["failed", "no-device", str(error)])
        os._exit(0)
    wire.send(channel, ["ok", None])
    for name, *arguments in questions(channel, lambda why: ["failed", "question", why]):
        question: Callable[..., Any] = getattr(referee, name)
        try:
            wire.send(channel, ["ok", question(*arguments)])
        except NoDevice as error:
            wire.send(channel, ["failed", "no-device", str(error)])
        except torch.OutOfMemoryError:
            wire.send(channel, ["failed", *referee.shortage()])
        except Exception as error:  # noqa: BLE001  the task's own code may raise anything
            wire.send(channel, ["failed", "task", f"{type(error).__name__}: {error}"])
    os._exit(0)
