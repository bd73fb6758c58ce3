"""What judging on this machine's GPU costs and what it is worth: throughput, clock, faults.

    python benchmarks/judging.py [throughput] [clock] [faults] [--programs 60] [--json FILE]

throughput: distinct programs (random knob settings of the native tasks' seeds) through all gates and screening, built
in jails on the CPU while one process judges on the device. clock: equal programs compared with themselves, and with a
version that does 2% more work. faults: a stream in which one program in ten does something wrong.
"""

import argparse
import json
import os
import queue
import re
import statistics
import subprocess
import sys
import threading
import time
from collections import Counter
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import numpy as np
from prediction import programs  # beside this file

from fitness.build import Builder, Built, Purpose, Refusal
from fitness.child import Limits
from fitness.evaluation import Evaluation, Failure
from fitness.gpu import calibrate, discover
from fitness.gpu.clock import Ratio
from fitness.gpu.court import Court, Hearing, Program
from fitness.jail import Jail
from fitness.measure import MeasuringJudge
from fitness.targets import Target
from fitness.verification import edges
from suites import Case, Task, load, names, read


class Utilisation:
    """Samples how much of the time the device was busy, by nvidia-smi."""

    def __enter__(self) -> "Utilisation":
        self.values: list[int] = []
        command = ["nvidia-smi", "--query-gpu=utilization.gpu", "--format=csv,noheader,nounits", "-lms", "200"]
        try:
            self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        except OSError:
            self._process = None
            return self
        threading.Thread(target=self._read, daemon=True).start()
        return self

    def _read(self) -> None:
        for line in self._process.stdout:
            if line.strip().isdigit():
                self.values.append(int(line))

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    @property
    def mean(self) -> float:
        """Percent of the time in which a kernel ran."""
        return statistics.mean(self.values) if self.values else float("nan")


def watched() -> Counter:
    """Count the seconds that questions to the bench and the referee take, by name."""
    spent: Counter = Counter()
    for name in ("_ask", "_run", "_start_bench", "verify", "time"):
        plain = getattr(Court, name)

        def timed(court, *question, name=name, plain=plain, **limits):
            began = time.perf_counter()
            try:
                return plain(court, *question, **limits)
            finally:
                said = question[0] if name in ("_ask", "_run") else name
                spent[said] += time.perf_counter() - began

        setattr(Court, name, timed)
    return spent


class Line:
    """Builders on threads, each with a jail of its own, ahead of one judge on the device."""

    def __init__(self, jails: list[Jail], limits: Limits, imports: bool = True) -> None:
        self._limits, self._purpose = limits, Purpose(code=True, imports=imports)
        self._jails: queue.SimpleQueue[Jail] = queue.SimpleQueue()
        for jail in jails:
            self._jails.put(jail)
        self._threads = ThreadPoolExecutor(len(jails))

    def submit(self, task: Task, target: Target, source: str) -> Future:
        """Build a program as soon as a jail is free; the result is a Built, or the failure."""
        return self._threads.submit(self._build, task, target, edges(task), source)

    def close(self) -> None:
        """Build nothing more."""
        self._threads.shutdown(cancel_futures=True)

    def _build(self, task: Task, target: Target, more: tuple[Case, ...], source: str) -> Built | Failure:
        jail = self._jails.get()
        try:
            return Builder(task, target, self._limits, self._purpose, jail).build(source, task.cases, more)
        except Refusal as refused:
            return refused.failure
        finally:
            self._jails.put(jail)


def finish(judge: MeasuringJudge, made: Built | Failure, incumbent: str, confirm: bool | None = None) -> Evaluation:
    """Judge what was built, or say why it was not."""
    return judge.measure(made, {"incumbent": incumbent}, confirm) if isinstance(made, Built) else judge.refusal(made)


def throughput(target: Target, jails: list[Jail], count: int, chosen: list[str]) -> dict:
    """Judge `count` programs of every task: all gates and screening; confirming winners is what a search adds."""
    began = time.time()
    rng, court, line = np.random.default_rng(0), Court(target), Line(jails, Limits())
    court.start()
    for jail in jails:
        jail.standing  # noqa: B018  waits until it is ready
    started, rows = time.time(), []
    stream = []
    for name in chosen:
        task = load(name)
        sources = programs(task, count, target.backend, rng)
        stream.append((task, sources, [line.submit(task, target, s) for s in sources]))
    with Utilisation() as busy:
        for task, sources, made in stream:
            judge = MeasuringJudge(task, target, court=court)
            rows.append(study(judge, sources, made))
            judge.rest()
        end = time.time()
    court.close()
    line.close()
    total, distinct = sum(r["programs"] for r in rows), sum(r["distinct"] for r in rows)
    result = {
        "programs": total, "distinct": distinct, "passed": sum(r["passed"] for r in rows), "seconds": end - started,
        "start_seconds": started - began, "per_minute": 60 * total / (end - started), "gpu_busy_percent": busy.mean,
        "tasks": rows,
    }  # fmt: skip
    print(
        f"all: {total} programs, {distinct} distinct, in {end - started:.1f} s = {result['per_minute']:.0f} a minute "
        f"(processes started in {started - began:.1f} s before); GPU busy {busy.mean:.0f}% of the time", flush=True,
    )  # fmt: skip
    return result


def study(judge: MeasuringJudge, sources: list[str], made: list[Future]) -> dict:
    """Judge one task's programs as a search would, each against the best so far."""
    here, passed, programs, kinds, each = time.time(), 0, set(), Counter(), []
    best = (float("inf"), sources[0])
    waited = 0.0
    for source, future in zip(sources, made, strict=True):
        asked = time.time()
        built = future.result()
        waited += time.time() - asked
        began = time.time()
        verdict = finish(judge, built, best[1], confirm=False)
        each.append(time.time() - began)
        programs.add(verdict.program)
        if verdict.failure is not None:
            kind = f"{verdict.failure.stage}/{verdict.failure.kind}"
            if not kinds[kind]:
                print(f"  first {kind}: {verdict.failure.message[:300]}", flush=True)
            kinds[kind] += 1
            continue
        passed += 1
        best = min(best, (verdict.score_us, source))
    took, distinct = time.time() - here, len(programs - {None})
    print(
        f"{judge.task.name:<12} {len(sources):>3} programs, {distinct:>3} distinct, {passed:>3} passed, "
        f"{took:5.1f} s ({waited:.1f} waiting for builders), {60 * len(sources) / took:5.0f} a minute, "
        f"median verdict {1e3 * statistics.median(each):.0f} ms, best {best[0]:.2f} us {dict(kinds)}", flush=True,
    )  # fmt: skip
    return {
        "task": judge.task.name, "programs": len(sources), "distinct": distinct, "passed": passed,
        "seconds": took, "median_verdict_s": statistics.median(each), "waited_seconds": waited, "best_us": best[0],
        "failures": kinds,
    }  # fmt: skip


MORE = calibrate.COPY.replace(
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


def clock(target: Target, comparisons: int) -> dict:
    """Compare equal programs, and programs of which one does 2% more."""
    task, court = read(calibrate.COPY, "calibration"), Court(target)
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
    for case in task.cases[2:]:
        blocks = -(-case.inputs["x"].elements // 2048)
        plain = MORE.replace("blocks + PART", "blocks").replace('"calibration"', '"calibration"')
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


SEED = load("vector_add").seeds[0].source
FAULTS = {
    "illegal address": (lambda s: _store(s, "out_ptr + start + offs + (1 << 40)"), "correctness/illegal-address"),
    "misaligned": (
        lambda s: _store(s, "(out_ptr.to(tl.pointer_type(tl.int8)) + 1).to(out_ptr.dtype) + start + offs"),
        "correctness/misaligned",
    ),
    "device assert": (
        lambda s: _before(s, "tl.device_assert(n < 0, 'no')").replace("num_warps", "debug=True, num_warps"),
        "correctness/assert",
    ),
    "infinite loop on the device": (lambda s: _before(s, "while n > 0:\n        z += 1"), "correctness/timeout"),
    "infinite loop in the compiler": (
        lambda s: _before(s, "for i in tl.static_range(100000000):\n        offs += 1"), "compile/timeout",
    ),
    "out of memory": (lambda s: _launcher(s, "pad = torch.empty(1 << 36, device=x.device)"), "record/memory"),
    "LDS over-ask": (
        lambda s: _before(s, "big = tl.reshape(tl.arange(0, 131072).to(tl.float32), (256, 512))\n"
                          "    z += 1e-30 * tl.sum(tl.dot(big, tl.trans(big), input_precision='ieee'))"),
        "compile/resources",
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


def faults(target: Target, jails: list[Jail], count: int) -> dict:
    """Judge a stream in which one in ten is faulty."""
    task, rng, before = load("vector_add"), np.random.default_rng(1), _memory()
    court = Court(target, seconds=3.0)
    judge = MeasuringJudge(task, target, court=court, imports=False)
    line = Line(jails, Limits(seconds=10.0), imports=False)
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
    court.close()
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


def main() -> None:
    """Run the parts asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", default=["throughput", "clock", "faults"])
    parser.add_argument("--programs", type=int, default=40, help="of each task")
    parser.add_argument("--stream", type=int, default=300, help="programs in the stream with faults")
    parser.add_argument("--comparisons", type=int, default=100)
    parser.add_argument("--tasks", default=",".join(names()))
    parser.add_argument("--json", type=Path)
    parser.add_argument("--profile", action="store_true", help="show what the seconds went to")
    options = parser.parse_args()
    spent = watched() if options.profile else None
    target = discover.own_target()
    if target is None:
        sys.exit("this needs a GPU that evo-kernel knows")
    jails = [Jail("compiled") for _ in range(max(1, (os.cpu_count() or 2) - 2))]
    for jail in jails:
        jail.start()
    found = {"device": discover.gpus()[0].name}
    try:
        if "throughput" in options.parts:
            found["throughput"] = throughput(target, jails, options.programs, options.tasks.split(","))
        if "clock" in options.parts:
            found["clock"] = clock(target, options.comparisons)
        if "faults" in options.parts:
            found["faults"] = faults(target, jails, options.stream)
    finally:
        for jail in jails:
            jail.close()
    if spent is not None:
        print({k: round(v, 2) for k, v in spent.most_common()})
    if options.json:
        options.json.write_text(json.dumps(found, indent=1, default=str))


if __name__ == "__main__":
    main()
