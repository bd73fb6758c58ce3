"""What the clock says of equal programs, and of programs of which one does 2% more work."""

import os
import statistics
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from fitness.build import Builder, Purpose
from fitness.child import Limits
from fitness.gpu import calibrate
from fitness.gpu.calibration import SHORT_US
from fitness.gpu.clock import Ratio
from fitness.gpu.court import Court, Hearing, Program
from fitness.targets import Target
from suites import read

# a size more than what a device is calibrated with: of a launch of about 10 us
COPY = calibrate.COPY.replace('case("64 MiB"', 'case("16 MiB", 1 << 22), case("64 MiB"')
MORE = COPY.replace(
    "def copy_kernel(out_ptr, x_ptr, n, BLOCK: tl.constexpr):\n    offs = tl.program_id(0).to(tl.int64) * BLOCK",
    "def copy_kernel(out_ptr, extra_ptr, x_ptr, n, blocks, BLOCK: tl.constexpr):\n"
    "    block = tl.program_id(0).to(tl.int64)\n"
    "    more = block >= blocks\n    out_ptr = tl.where(more, extra_ptr, out_ptr)\n"
    "    block = tl.where(more, (block - blocks) * 50, block)\n    offs = block * BLOCK",
).replace(
    "    copy_kernel[(triton.cdiv(x.numel(), 2048),)](out, x, x.numel(), BLOCK=2048, num_warps=8)",
    "    extra = torch.empty_like(x)\n    blocks = triton.cdiv(x.numel(), 2048)\n"
    "    copy_kernel[(blocks + PART,)](out, extra, x, x.numel(), blocks, BLOCK=2048, num_warps=8)",
)  # fmt: skip


def clock(target: Target, comparisons: int, beside: bool) -> dict:
    """Compare equal programs, and programs of which one does 2% more; `beside`: while another judge verifies."""
    if not beside:
        return _clock(target, comparisons, 1)
    with neighbour(target) as verified:
        found = _clock(target, comparisons, 2)
    print(f"beside it another judge verified {len(verified)} programs", flush=True)
    return {**found, "verified_beside": len(verified)}


@contextmanager
def neighbour(target: Target) -> Iterator[list[int]]:
    """Have another judge verify the largest copy again and again; yields what grows by one each time."""
    task, done, verified = read(COPY, "calibration"), threading.Event(), []
    started = threading.Event()

    def work() -> None:
        court = Court(target, judges=2)
        court.start()
        court.begin(task, int.from_bytes(os.urandom(6), "little"))
        builder = Builder(task, target, Limits(), Purpose(code=True))
        built = builder.build(task.seeds[0].source, task.cases[-1:], ())
        program = Program(built.recorded[0].full, built.code)
        while not done.is_set():
            court.verify([Hearing(task.cases[-1].name, ("base", "base"), program)])
            verified.append(1)
            started.set()
        builder.close()
        court.close()

    with ThreadPoolExecutor(1) as thread:
        running = thread.submit(work)
        running.add_done_callback(lambda _: started.set())
        started.wait()
        try:
            yield verified
        finally:
            done.set()
            running.result()


def _clock(target: Target, comparisons: int, judges: int) -> dict:
    task, court = read(COPY, "calibration"), Court(target, judges=judges)
    court.start()
    court.begin(task, int.from_bytes(os.urandom(6), "little"))
    found = calibrate.nulls(court, task, target, comparisons)
    rows = []
    for null in found:
        called = sum(_different(r, 0.01) for r in null.ratios)
        rows.append([null.case, null.time_us, null.percentile, called, len(null.ratios)])
        print(f"A/A copy of {null.case:<8} {null.time_us:8.2f} us: 99% of |ratio - 1| below {null.percentile:.2%}, "
              f"called different {called} of {len(null.ratios)}", flush=True)  # fmt: skip
    slower = []
    builder = Builder(task, target, Limits(), Purpose(code=True))
    long = {null.case for null in found if null.time_us >= SHORT_US}
    for case in (c for c in task.cases if c.name in long):
        blocks = -(-case.inputs["x"].elements // 2048)
        plain = MORE.replace("blocks + PART", "blocks")
        more = MORE.replace("blocks + PART", f"blocks + {round(blocks * 0.02)}")
        built = [builder.build(read(text, "x").seeds[0].source, (case,), ()) for text in (plain, more)]
        programs = [Program(b.recorded[0].full, b.code) for b in built]
        estimate = court.verify([Hearing(case.name, ("base",) * 3, p) for p in programs])[0].time_us
        ratios = [
            calibrate.compare(court, case.name, programs[1], programs[0], estimate)[0] for _ in range(comparisons)
        ]
        called = sum(r.slower(0.01) for r in ratios)
        slower.append([case.name, statistics.median(r.value for r in ratios), called, comparisons])
        print(f"2% more work, copy of {case.name}: ratio {slower[-1][1]:.4f}, called slower {called} of {comparisons}",
              flush=True)  # fmt: skip
    builder.close()
    court.close()
    return {"equal": rows, "slower": slower}


def _different(ratio: Ratio, null: float) -> bool:
    return ratio.faster(null) or ratio.slower(null)
