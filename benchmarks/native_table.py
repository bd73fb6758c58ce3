"""Measures every setting of native tasks once on this machine's GPU: all gates and screening, beside the seed.

Builders work ahead on the CPU; the device takes what is built, whatever was asked for first. A program that costs a
worker its life is tried once more and then left out of its table: that is no verdict. Settings that compile to equal
code are one program, timed once.
"""

import gc
import json
import platform
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Future, wait
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from native_space import WIDEST, Settings  # beside this file

from fitness.evaluation import Evaluation
from fitness.gpu.court import DeviceUnavailable
from fitness.jail import WorkerLost
from operators.tune.space import Config

EVERY = 50  # programs between two versions of the file
AHEAD = 256  # programs being built, or built and not judged
TRIES = 2
PATIENCE = 5.0  # seconds: how long builders alone are awaited before the time is looked at again


class Building(Protocol):
    """What builds programs ahead: judging_line.Line with a task and target, or a test's."""

    def __call__(self, settings: Settings, source: str) -> Future:
        """Build a program as soon as a builder is free."""


class Judging(Protocol):
    """What judges one task's built programs beside its seed."""

    def __call__(self, made: Any) -> Evaluation:
        """Return the verdict of screening; what could not be built is a verdict too."""


@dataclass(slots=True)
class Table:
    """One task's verdicts so far."""

    settings: Settings
    wanted: list[Config]
    verdicts: dict[Config, Evaluation] = field(default_factory=dict)
    lost: Counter[Config] = field(default_factory=Counter)

    def plain(self, device: str) -> dict[str, Any]:
        """Return the table as evo_kernel/landscapes.py reads it, with what else was seen."""
        space, rows = self.settings.space, list(self.verdicts)
        passed = {config: v for config, v in self.verdicts.items() if v.passed}
        seed = self.verdicts.get(self.settings.first)
        seed_us = seed.score_us if seed is not None and seed.passed else None
        ratios = [ratio(passed[c], seed_us) if c in passed else None for c in rows]
        kinds = [None if v.failure is None else f"{v.failure.stage}/{v.failure.kind}" for v in self.verdicts.values()]
        return {
            "kernel": self.settings.task.name, "gpu": device,
            "params": {p.name: list(p.values) for p in space.parameters},
            "configs": [list(space.values(c).values()) for c in rows],
            "time_ms": [None if r is None or seed_us is None else r * seed_us / 1000 for r in ratios],
            "ratio_to_seed": ratios, "failures": kinds, "programs": [v.program for v in self.verdicts.values()],
            "unconfirmed": True, "seed": list(space.values(self.settings.first).values()), "seed_us": seed_us,
            "legal": self.settings.legal, "listed": space.size, "wanted": len(self.wanted),
            "lost": sum(count >= TRIES for count in self.lost.values()),
        }  # fmt: skip


def ratio(verdict: Evaluation, seed_us: float | None) -> float | None:
    """Return the time over that of the seed beside it; where the seed was not beside it, over the seed's own."""
    beside = verdict.ratio_to("incumbent")
    if beside is not None:
        return beside.ratio
    return None if seed_us is None else verdict.score_us / seed_us


class Measurement:
    """Measures several tables until all is done or the time is up, and keeps the file current."""

    def __init__(self, tables: list[Table], about: dict[str, Any], file: Path, until: float) -> None:
        self.tables, self.about, self.file, self.until = tables, about, file, until
        self.stopped: str | None = None
        self._judged = 0
        self._began = time.monotonic()

    def run(self, building: Building, judge_of: Callable[[Settings], Judging]) -> None:
        """Measure; what was measured is in the file whatever happens."""
        pending: dict[Future, tuple[Table, Config]] = {}
        jobs = ((table, config) for table in self.tables for config in table.wanted)
        try:
            for table in self.tables:
                judge = None
                while not self._late():
                    self._top_up(pending, jobs, building)
                    own = {f: config for f, (whose, config) in pending.items() if whose is table}
                    if not own:
                        break
                    judge = judge or judge_of(table.settings)
                    seed = [f for f, config in own.items() if config == table.settings.first]  # before all others
                    for future in wait(seed or own, PATIENCE, FIRST_COMPLETED).done:
                        self._take(future, pending, judge, building)
                        self._top_up(pending, jobs, building)
                        if self._late():
                            break
                self._say(table)
        except DeviceUnavailable as error:
            self.stopped = f"the device was lost: {error}"
        finally:
            self.write()

    def _top_up(self, pending: dict[Future, Any], jobs: Iterator[tuple[Table, Config]], building: Building) -> None:
        """Keep the builders busy."""
        while len(pending) < AHEAD:
            job = next(jobs, None)
            if job is None:
                return
            table, config = job
            pending[building(table.settings, table.settings.source(config))] = job

    def _take(self, future: Future, pending: dict[Future, Any], judge: Judging, building: Building) -> None:
        """Judge what was built; try once more what was lost."""
        table, config = pending.pop(future)
        try:
            table.verdicts[config] = judge(future.result())
        except (WorkerLost, BrokenExecutor) as error:
            table.lost[config] += 1
            print(f"  lost {table.settings.space.values(config)}: {error!r}"[:300], flush=True)
            if table.lost[config] < TRIES:
                pending[building(table.settings, table.settings.source(config))] = (table, config)
            return
        self._judged += 1
        if self._judged % EVERY == 0:
            self.write()
            self._say(table)

    def _late(self) -> bool:
        if self.stopped is None and time.monotonic() >= self.until:
            self.stopped = "the time given was up"
        return self.stopped is not None

    def _say(self, table: Table) -> None:
        """Print how far a table is."""
        passed = [v.score_us for v in table.verdicts.values() if v.passed]
        kinds = Counter(f"{v.failure.stage}/{v.failure.kind}" for v in table.verdicts.values() if v.failure)
        seconds = time.monotonic() - self._began
        print(
            f"{seconds:6.1f} s  {table.settings.task.name:<12} {len(table.verdicts):>4} of {len(table.wanted)}, "
            f"{len({v.program for v in table.verdicts.values() if v.passed})} distinct, {len(passed)} passed, "
            f"best {min(passed, default=float('nan')):.2f} us {dict(kinds)}", flush=True,
        )  # fmt: skip

    def write(self) -> None:
        """Write everything so far; a reader never sees half a file."""
        device = self.about["device"]
        document = {**self.about, "stopped": self.stopped, "seconds": round(time.monotonic() - self._began, 1),
                    "tables": [t.plain(device) for t in self.tables if t.verdicts]}  # fmt: skip
        partial = self.file.with_name(f"{self.file.name}.partial")
        partial.write_text(json.dumps(document))
        partial.replace(self.file)


def tables(chosen: list[Settings], most: int) -> list[Table]:
    """Order each task's settings: the seed's first, the others at random, so that a part is a fair sample."""
    return [Table(one, one.order(most, np.random.default_rng(0))) for one in chosen]


def about(device: str, target: str) -> dict[str, Any]:
    """Say where and with what a file was made."""
    return {
        "format": 1, "device": device, "target": target, "date": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
        "machine": f"{platform.machine()}, Python {platform.python_version()}", "arguments": sys.argv[1:],
        "versions": {name: _version(name) for name in ("torch", "triton", "numpy", "evo-kernel")},
        "times": "screened once beside the seed on the public cases: ratio of times, times the seed's own",
        "widest": WIDEST,
    }  # fmt: skip


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"


def measure(chosen: list[Settings], most: int, seconds: float, file: Path, builders: int) -> None:
    """Measure on this machine's GPU, `seconds` in all with starting."""
    from judging_line import Line, finish  # torch and triton are loaded here alone

    from fitness.child import Limits
    from fitness.gpu import discover
    from fitness.gpu.court import Court
    from fitness.measure import MeasuringJudge

    until = time.monotonic() + seconds
    target = discover.own_target()
    if target is None:
        sys.exit("this needs a GPU that evo-kernel knows")
    court, line = Court(target), Line(builders, Limits(seconds=10.0))
    judges: list[MeasuringJudge] = []

    def judge_of(settings: Settings) -> Judging:
        for before in judges[-1:]:
            before.rest()
        judge = MeasuringJudge(settings.task, target, court=court)
        judges.append(judge)
        seed = settings.task.seeds[0].source
        return lambda made: finish(judge, made, seed, confirm=False)

    try:
        court.start()
        name = discover.gpus()[0].name
        work = Measurement(tables(chosen, most), about(name, target.name), file, until)
        print(f"{name}: {sum(len(t.wanted) for t in work.tables)} programs, {builders} builders", flush=True)
        gc.freeze()  # what was loaded leaves a great many objects that no collection needs to look at again
        work.run(lambda settings, source: line.submit(settings.task, target, source), judge_of)
    finally:
        line.close()
        court.close()
    print(f"{file}: {sum(len(t.verdicts) for t in work.tables)} verdicts; {work.stopped or 'complete'}")
