"""What the clock says of equal programs, and of programs of which one does 2% more work."""

import os
import statistics
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from fitness.build import Builder, Purpose
from fitness.child import Limits
from fitness.gpu import calibrate
from fitness.gpu.calibration import SHORT_US, Calibration
from fitness.gpu.clock import Ratio
from fitness.gpu.court import Court, Hearing, Program
from fitness.targets import Target
from suites import Case, Task, read

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
# one block that computes: its time grows with its steps, whatever memory does; the compiler cannot know that no value
# passes 2
LOOP = (
    COPY.replace("def copy_kernel(out_ptr, x_ptr, n, ", "def copy_kernel(out_ptr, x_ptr, n, steps, ")
    .replace(
        "    tl.store(out_ptr + offs, tl.load(x_ptr + offs, mask=offs < n), mask=offs < n)",
        "    x = tl.load(x_ptr + offs, mask=offs < n)\n    spun = (offs % 256).to(tl.float32) / 256\n"
        "    for _ in range(steps):\n        spun = spun * 0.5 + 0.25\n"
        "    tl.store(out_ptr + offs, tl.where(spun > 2, x + 1, x), mask=offs < n)",
    )
    .replace("(out, x, x.numel(), ", "(out, x, x.numel(), STEPS, ")
)
LOOPS = (600, 1200, 2400)  # 5 us and more on an H200
BOUND = 128 << 20  # bytes of a copy that takes memory's time; those of smaller ones are mostly waited for


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
    calibration = Calibration.of(court.device.name, target)
    how = "calibrated" if calibration.measured else "not calibrated"
    print(
        f"a difference has to pass {calibration.null:.2%}, below {SHORT_US:g} us {calibration.short_null:.2%} ({how})"
    )
    builder = Builder(task, target, Limits(), Purpose(code=True))
    equal = [_equal(f"copy of {n.case}", n.time_us, n.ratios, calibration)
             for n in calibrate.nulls(court, task, target, comparisons)]  # fmt: skip
    slower = []
    for name, case, plain, more in _pairs(task):
        built = [builder.build(read(text, "x").seeds[0].source, (case,), ()) for text in (plain, more)]
        one, other = (Program(b.recorded[0].full, b.code) for b in built)
        estimate = court.verify([Hearing(case.name, ("base",) * 3, p) for p in (one, other)])[0].time_us
        if name.startswith("loop"):
            ratios, times = [], []
            for _ in range(comparisons):
                ratio, samples = calibrate.compare(court, case.name, one, one, estimate)
                ratios.append(ratio)
                times += samples
            equal.append(_equal(name, statistics.median(times), ratios, calibration))
        ratios = [calibrate.compare(court, case.name, other, one, estimate)[0] for _ in range(comparisons)]
        called = sum(r.slower(calibration.null) for r in ratios)
        slower.append([name, statistics.median(r.value for r in ratios), called, comparisons])
        print(f"2% more work, {name}: ratio {slower[-1][1]:.4f}, called slower {called} of {comparisons}", flush=True)
    builder.close()
    court.close()
    return {"null": [calibration.null, calibration.short_null], "equal": equal, "slower": slower}


def _pairs(task: Task) -> Iterator[tuple[str, Case, str, str]]:
    """Yield programs of which one does 2% more: steps of a loop, and bytes of copies that memory alone bounds."""
    for steps in LOOPS:
        plain, more = (LOOP.replace("STEPS", str(s)) for s in (steps, round(steps * 1.02)))
        yield f"loop of {steps} steps", task.cases[0], plain, more
    for case in task.cases:
        if case.bytes >= BOUND:
            blocks = -(-case.inputs["x"].elements // 2048)
            plain, more = (MORE.replace("PART", str(extra)) for extra in (0, round(blocks * 0.02)))
            yield f"copy of {case.name}", case, plain, more


def _equal(name: str, time_us: float, ratios: Sequence[Ratio], calibration: Calibration) -> list:
    """Say what comparing a program with itself showed."""
    off = calibrate.nearest_rank([abs(r.value - 1) for r in ratios], 0.99)
    null = calibration.null_of([time_us])
    called = sum(r.faster(null) or r.slower(null) for r in ratios)
    print(f"A/A {name:<18} {time_us:8.2f} us: 99% of |ratio - 1| below {off:.2%}, called different {called} of "
          f"{len(ratios)}", flush=True)  # fmt: skip
    return [name, time_us, off, called, len(ratios)]
