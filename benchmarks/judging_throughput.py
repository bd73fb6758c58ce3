"""How many programs a minute go through all gates and screening, and how busy they keep the device."""

import gc
import queue
import statistics
import subprocess
import threading
import time
from collections import Counter
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
from judging_line import Line, finish  # beside this file
from prediction import programs

from fitness.child import Limits
from fitness.gpu.court import Court
from fitness.gpu.turns import Turns
from fitness.measure import MeasuringJudge
from fitness.targets import Target
from suites import Task, load

WIDEST = 128  # elements of a tile for each lane: more do not fit its registers, and compiling takes tens of seconds


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
        self._reading = threading.Thread(target=self._read, daemon=True)
        self._reading.start()
        return self

    def _read(self) -> None:
        for line in self._process.stdout:
            if line.strip().isdigit():
                self.values.append(int(line))

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._reading.join()
            self._process.stdout.close()

    @property
    def mean(self) -> float:
        """Percent of the time in which a kernel ran."""
        return statistics.mean(self.values) if self.values else float("nan")


def watched() -> Counter:
    """Count the seconds that questions to the bench and the referee take, by name."""
    spent: Counter = Counter()
    for kind, name in [*((Court, n) for n in ("_ask", "_run", "_start_bench", "verify", "time")), (Turns, "_take")]:
        plain = getattr(kind, name)

        def timed(asked, *question, name=name, plain=plain, **limits):
            began = time.perf_counter()
            try:
                return plain(asked, *question, **limits)
            finally:
                said = {"_ask": f"referee {question[:1]}", "_run": f"bench {question[:1]}", "_take": "waited for turn"}
                spent[said.get(name, f"court {name}")] += time.perf_counter() - began

        setattr(kind, name, timed)
    return spent


def throughput(target: Target, builders: int, count: int, chosen: list[str], judges: int) -> dict:
    """Judge `count` programs of every task: all gates and screening; confirming winners is what a search adds.

    Each judge takes the next task that nobody has begun, as in a search over many tasks.
    """
    began = time.time()
    rng, line = np.random.default_rng(0), Line(builders, Limits(seconds=10.0))
    courts = [Court(target, judges=judges) for _ in range(judges)]
    made = [(task, programs(task, count, target.backend, rng, WIDEST)) for task in map(load, chosen)]
    gc.freeze()  # what made the programs leaves a great many objects that no collection needs to look at again
    # a child ends with the thread that started it: each judge has a thread for all its life
    threads = [ThreadPoolExecutor(1) for _ in courts]
    for ready in [t.submit(c.start) for t, c in zip(threads, courts, strict=True)]:
        ready.result()
    started = time.time()
    stream: queue.SimpleQueue = queue.SimpleQueue()
    for task, sources in made:
        stream.put((task, sources, [line.submit(task, target, s) for s in sources]))
    with Utilisation() as busy:
        work = [t.submit(_judge_all, target, c, stream) for t, c in zip(threads, courts, strict=True)]
        rows = [row for one in work for row in one.result()]
        end = time.time()
    for thread, court in zip(threads, courts, strict=True):
        thread.submit(court.close).result()
        thread.shutdown()
    line.close()
    total, distinct = sum(r["programs"] for r in rows), sum(r["distinct"] for r in rows)
    result = {
        "programs": total, "distinct": distinct, "passed": sum(r["passed"] for r in rows), "seconds": end - started,
        "start_seconds": started - began, "per_minute": 60 * total / (end - started), "gpu_busy_percent": busy.mean,
        "judges": judges, "builders": builders, "tasks": rows,
    }  # fmt: skip
    print(
        f"all: {total} programs, {distinct} distinct, by {judges} judges and {builders} builders in "
        f"{end - started:.1f} s = {result['per_minute']:.0f} a minute (processes started in {started - began:.1f} s "
        f"before); GPU busy {busy.mean:.0f}% of the time", flush=True,
    )  # fmt: skip
    return result


def _judge_all(target: Target, court: Court, stream: "queue.SimpleQueue[tuple[Task, list, list]]") -> list[dict]:
    """Judge one task after another until none is left."""
    rows = []
    while True:
        try:
            task, sources, made = stream.get_nowait()
        except queue.Empty:
            return rows
        judge = MeasuringJudge(task, target, court=court)
        rows.append(study(judge, sources, made))
        judge.rest()


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
