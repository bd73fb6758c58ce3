"""What faulty programs do to a stream: each must fail alone, with its kind, and leave nothing behind."""

import re
import subprocess
import time
from pathlib import Path

import numpy as np
from judging_line import Line, finish  # beside this file

from fitness.child import Limits
from fitness.gpu.court import Court
from fitness.measure import MeasuringJudge
from fitness.targets import Target
from suites import load

SEED = load("vector_add").seeds[0].source
# Only one lane of one program goes astray: when all did, the driver took more than 3 s to say so.
ASTRAY = """astray = (out_ptr.to(tl.pointer_type(tl.int8), bitcast=True) + 1).to(out_ptr.dtype, bitcast=True)
    tl.store(astray + start + offs, z.to(out_ptr.dtype.element_ty), mask=mask & (start + offs == 0))"""
# what is read is finite, which the compiler cannot know
ENDLESS = """while tl.load(x_ptr + start, volatile=True) < float("inf"):
        z += 1"""
# 16 stages of two tiles of 16 KiB
WIDE = """side = tl.arange(0, 64)
    tile = side[:, None] * 64 + side[None, :]
    sums = tl.zeros((64, 64), tl.float32)
    for step in range(0, n, 4096):
        left, right = tl.load(x_ptr + step + tile), tl.load(y_ptr + step + tile)
        sums = tl.dot(left.to(tl.float16), right.to(tl.float16), sums)
    z += 1e-30 * tl.sum(sums)"""
FAULTS = {
    "illegal address": (lambda s: _store(s, "out_ptr + start + offs + (1 << 40)"), "correctness/illegal-address"),
    "misaligned": (lambda s: _before(s, ASTRAY), "correctness/misaligned"),
    "device assert": (
        lambda s: _before(s, "tl.device_assert(n < 0, 'no')").replace("num_warps", "debug=True, num_warps"),
        "correctness/assert",
    ),
    "infinite loop on the device": (lambda s: _before(s, ENDLESS), "correctness/timeout"),
    "infinite loop in the compiler": (
        lambda s: _before(s, "for i in tl.static_range(100000000):\n        offs += 1"), "compile/timeout",
    ),
    "out of memory": (lambda s: _launcher(s, "pad = torch.empty(1 << 36, device=x.device)"), "record/memory"),
    "LDS over-ask": (
        lambda s: _before(s, WIDE).replace("num_warps", "num_stages=16, num_warps"), "compile/resources",
    ),
    "host hang": (lambda s: _launcher(s, "while True: pass"), "record/timeout"),
    "host segfault": (lambda s: _launcher(s, "import ctypes; ctypes.string_at(0)"), "record/crash"),
}  # fmt: skip


def _store(source: str, pointer: str) -> str:
    return source.replace("tl.store(out_ptr + start + offs", f"tl.store({pointer}")


def _before(source: str, line: str) -> str:
    return re.sub(r"\n( +)tl\.store\(", lambda m: f"\n{m[1]}{line}\n{m[1]}tl.store(", source, count=1)


def _launcher(source: str, line: str) -> str:
    return source.replace("    out = torch.empty_like", f"    {line}\n    out = torch.empty_like")


def faults(target: Target, builders: int, count: int) -> dict:
    """Judge a stream in which one in ten is faulty."""
    task, rng, before = load("vector_add"), np.random.default_rng(1), _memory()
    court = Court(target, seconds=3.0)
    judge = MeasuringJudge(task, target, court=court, imports=False)
    line = Line(builders, Limits(seconds=10.0), imports=False)
    kinds, stream = list(FAULTS), []
    for number in range(count):
        honest = SEED.replace("def vector_add(", f"TAG = {number}\n\n\ndef vector_add(")
        honest = re.sub(r"BLOCK=\d+", f"BLOCK={128 << int(rng.integers(5))}", honest)
        kind = kinds[number // 10 % len(kinds)] if number % 10 == 5 else None
        stream.append((kind, FAULTS[kind][0](honest) if kind else honest))
    made = [line.submit(task, target, s) for _, s in stream]
    wrong, back, last = [], 0.0, None
    started = time.time()
    for (kind, _), future in zip(stream, made, strict=True):
        built = future.result()
        here = time.time()
        verdict = finish(judge, built, SEED)
        took = time.time() - here
        said = "passed" if verdict.passed else f"{verdict.failure.stage}/{verdict.failure.kind}"
        wanted = FAULTS[kind][1] if kind else "passed"
        if said != wanted:
            wrong.append([kind or "honest", wanted, said, None if verdict.passed else verdict.failure.message[:200]])
        if last is not None and kind is None:
            back = max(back, took)
        last = kind
    total = time.time() - started
    zombies = _zombies()
    line.close()
    pids = judge.pids()
    judge.close()
    time.sleep(1.0)
    result = {
        "programs": count, "faulty": sum(k is not None for k, _ in stream), "seconds": total, "wrong": wrong,
        "device_faults": court.faults, "slowest_next_verdict_s": back, "zombies": zombies,
        "memory_before_mib": before, "memory_after_mib": _memory(), "processes": len(pids),
    }  # fmt: skip
    print(f"faults: {count} programs, {result['faulty']} faulty, {total:.1f} s; not as expected: {len(wrong)}; device "
          f"replaced {court.faults} times; slowest verdict after a fault {back:.2f} s; zombies {zombies}; GPU memory "
          f"{before} -> {result['memory_after_mib']} MiB", flush=True)  # fmt: skip
    for row in wrong:
        print("  ", row, flush=True)
    return result


def _memory() -> int:
    command = ["nvidia-smi", "--query-gpu=memory.used", "--format=csv,noheader,nounits"]
    return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()[0])


def _zombies() -> int:
    count = 0
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            count += status.read_text().rsplit(")", 1)[1].split()[0] == "Z"
        except OSError:
            continue
    return count
