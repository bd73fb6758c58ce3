"""Measures what a device's clock is worth, and the ceilings of its memory and matrix units."""

import math
import os
import statistics
from collections.abc import Callable
from dataclasses import dataclass

from fitness.build import Builder, Purpose
from fitness.child import Limits
from fitness.gpu import clock, streaming
from fitness.gpu.calibration import SHORT_US, Calibration
from fitness.gpu.clock import Ratio
from fitness.gpu.court import Court, DeviceUnavailable, Fault, Hearing, Heat, MachineFailed, Program, RefereeFailed
from fitness.targets import Target
from suites import Task, read

COMPARISONS = 50  # of every size, each as long as a search's refined comparison
PAIRS = 40
MATMULS = ("float16", "bfloat16", "float32", "tf32")

COPY = '''"""Copies a vector: what a device's memory can do, and what its clock is worth."""
from suites import Case, Input

entry = "copy"


def reference(x):
    return x.clone()


def case(name, n):
    x = Input((n,), "float32", trials=("normal",))
    return Case(name, {"x": x}, flops=0, bytes=2 * x.bytes)


cases = [case("4 KiB", 1 << 10), case("4 MiB", 1 << 20), case("64 MiB", 1 << 24), case("1 GiB", 1 << 28)]
held_out = [case("1 KiB", 1 << 8)]

# evo-kernel: seed plain
import torch
import triton
import triton.language as tl


@triton.jit
def copy_kernel(out_ptr, x_ptr, n, BLOCK: tl.constexpr):
    offs = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    tl.store(out_ptr + offs, tl.load(x_ptr + offs, mask=offs < n), mask=offs < n)


def copy(x):
    out = torch.empty_like(x)
    copy_kernel[(triton.cdiv(x.numel(), 2048),)](out, x, x.numel(), BLOCK=2048, num_warps=8)
    return out
# evo-kernel: end
'''


@dataclass(frozen=True, slots=True)
class Null:
    """What equal programs showed at one size."""

    case: str
    time_us: float
    ratios: tuple[Ratio, ...]

    @property
    def percentile(self) -> float:
        """The 99th percentile of |ratio - 1|."""
        return nearest_rank([abs(r.value - 1) for r in self.ratios], 0.99)


def calibrate(target: Target, index: int, say: Callable[[str], None]) -> Calibration:
    """Measure a device, keep the result, and say what is found as it is found."""
    task = read(COPY, "calibration")
    court = Court(target, index)
    try:
        court.start()
        court.begin(task, int.from_bytes(os.urandom(6), "little"))
        say(f"{court.device.name}: {court.device.units} units, {court.device.cache >> 20} MiB of last-level cache")
        found = [_said(null, say) for null in nulls(court, task, target)]
        copy = max(task.case(n.case).bytes / n.time_us / 1e3 for n in found)
        say(f"  copied: {copy:.0f} GB/s, read and written")
        memory = max(copy, streaming.memory_gbs(court, target, say))
        say(f"memory: {memory:.0f} GB/s at best")
        rates = {kind: court.matmul_tflops(kind) for kind in MATMULS}
        say("matrix product: " + ", ".join(f"{d} {r:.0f} TFLOP/s" for d, r in rates.items()))
        long = [n.percentile for n in found if n.time_us >= SHORT_US]
        short = [n.percentile for n in found if n.time_us < SHORT_US]
        return Calibration(court.device.name, target, True, max(long), max(short or long), memory, rates)
    except (Fault, RefereeFailed, MachineFailed) as error:
        raise DeviceUnavailable(f"it cannot be calibrated: {error}") from error
    finally:
        court.close()


def nulls(court: Court, task: Task, target: Target, comparisons: int = COMPARISONS) -> list[Null]:
    """Compare a copy with itself at every size of the task, many times."""
    builder = Builder(task, target, Limits(), Purpose(code=True))
    try:
        built = builder.build(task.seeds[0].source, task.cases, ())
    finally:
        builder.close()
    found = []
    for one in built.recorded:
        program = Program(one.full, built.code)
        (verified,) = court.verify([Hearing(one.case.name, ("base",) * 3, program)])
        ratios, times = [], []
        for _ in range(comparisons):
            ratio, samples = compare(court, one.case.name, program, program, verified.time_us)
            ratios.append(ratio)
            times += samples
        found.append(Null(one.case.name, statistics.median(times), tuple(ratios)))
    return found


def compare(court: Court, case: str, one: Program, other: Program, estimate: float, pairs: int = PAIRS
            ) -> tuple[Ratio, list[float]]:  # fmt: skip
    """Compare two programs once, as a search does; return the ratio and the first one's samples."""
    (clocked,) = court.time([Heat(case, (one, other), (estimate, estimate), pairs)])
    own, others = clocked.times()
    return clock.ratio(own, others), own


def nearest_rank(values: list[float], share: float) -> float:
    """Return the value below which a share of all lies."""
    ordered = sorted(values)
    return ordered[min(len(ordered), math.ceil(share * len(ordered))) - 1]


def _said(null: Null, say: Callable[[str], None]) -> Null:
    say(f"  copy of {null.case}: {null.time_us:.2f} us; 99% of equal programs differ by at most {null.percentile:.2%}")
    return null
