"""Measures how fast a device's memory can be, read alone and written alone, as the judge's clock sees it.

A copy is no ceiling: memory that only gives, or only takes, need not turn between the two.
"""

import os
import statistics
from collections.abc import Callable

from fitness.build import Builder, Purpose
from fitness.child import Limits
from fitness.gpu.court import Court, Hearing, Heat, Program
from fitness.targets import Target
from suites import read

PAIRS = 40  # timings of each program and size

SPREAD = '''"""Adds up every row and writes the sum `width` times: all reading, or all writing, by the shapes."""
from suites import Case, Input

entry = "spread"


def reference(x, width):
    return x.sum(1, keepdim=True).expand(-1, width).contiguous()


def case(name, rows, cols, width):
    def arguments(rows):
        return {"x": Input((rows, cols), "float32", "uniform", trials=("uniform",)), "width": width}

    return Case(name, arguments(rows), flops=0, bytes=4 * rows * (cols + width), small=arguments(8))


cases = [
    case("64 MiB read", 1 << 12, 1 << 12, 1),
    case("1 GiB read", 1 << 16, 1 << 12, 1),
    case("64 MiB written", 1 << 12, 1, 1 << 12),
    case("1 GiB written", 1 << 16, 1, 1 << 12),
]
held_out = [case("1 MiB read", 1 << 6, 1 << 12, 1)]

# evo-kernel: seed eight-warps
import torch
import triton
import triton.language as tl


@triton.jit
def spread_kernel(out_ptr, x_ptr, cols, width, READ: tl.constexpr, WRITTEN: tl.constexpr):
    row = tl.program_id(0).to(tl.int64)
    read = tl.arange(0, READ)
    total = tl.sum(tl.load(x_ptr + row * cols + read, mask=read < cols, other=0.0), 0)
    written = tl.arange(0, WRITTEN)
    values = tl.zeros((WRITTEN,), tl.float32) + total
    tl.store(out_ptr + row * width + written, values, mask=written < width)


def spread(x, width):
    rows, cols = x.shape
    out = torch.empty((rows, width), dtype=x.dtype, device=x.device)
    block, wide = triton.next_power_of_2(cols), triton.next_power_of_2(width)
    spread_kernel[(rows,)](out, x, cols, width, READ=block, WRITTEN=wide, num_warps=8)
    return out
# evo-kernel: end
'''
SPREAD += SPREAD[SPREAD.index("# evo-kernel: seed") :].replace("eight-warps", "four-warps").replace("=8)", "=4)")


def memory_gbs(court: Court, target: Target, say: Callable[[str], None]) -> float:
    """Return the highest rate of reading alone and of writing alone, in GB/s."""
    task = read(SPREAD, "calibration")
    court.begin(task, int.from_bytes(os.urandom(6), "little"))
    best: dict[str, float] = {}
    builder = Builder(task, target, Limits(), Purpose(code=True))
    try:
        for seed in task.seeds:
            built = builder.build(seed.source, task.cases, ())
            for one in built.recorded:
                rate = one.case.bytes / _median_us(court, one.case.name, Program(one.full, built.code)) / 1e3
                best[one.case.name] = max(rate, best.get(one.case.name, 0.0))
    finally:
        builder.close()
    for name, rate in best.items():
        say(f"  {name}: {rate:.0f} GB/s")
    return max(best.values())


def _median_us(court: Court, case: str, program: Program) -> float:
    """Verify a program, and time it alone."""
    (verified,) = court.verify([Hearing(case, ("base",), program)])
    (clocked,) = court.time([Heat(case, (program,), (verified.time_us,), PAIRS)])
    return statistics.median(clocked.times()[0])
