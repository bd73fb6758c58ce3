"""What the search itself costs: ask, tell and journal per candidate, and resuming; judging is left out.

    python benchmarks/engine.py            prints one table
    python benchmarks/engine.py --json     the same for machines

Programs are made up, of a real kernel's length, with verdicts of the real shape; half have one structure, the others
one of 1,000. They fall into 10,000 cells by a made-up descriptor, to see what so many cost: the descriptor of real
programs has a few hundred (archives/descriptors.py), and is timed beside it. At the end some members of the Pareto
front fail on a device, and partners from other cells are chosen. The search, archive and journal are the real ones, on
the disk of the current folder. The paired figure is a plain SQLite insert of the same bytes on the same disk in the
same run: the floor of any durable journal. Beside the clock stands processor time, which is what counts while others
use the machine; both rise when it is shared, so the plain inserts and a fixed piece of Python say how fast it was.
"""

import json
import platform
import sqlite3
import statistics
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from time import perf_counter, process_time

import numpy as np

from archives import descriptors, events, selection
from archives.archive import Archive
from archives.candidate import Candidate, digest
from archives.descriptors import Cell
from archives.events import Judged, Proposed, Started
from archives.journal import Journal
from evo_kernel import runs
from evo_kernel.config import Settings
from evo_kernel.search import Search
from fitness.evaluation import Basis, CaseResult, Evaluation, Failure, Resources, Stage
from suites import load
from suites import task as tasks

LINES = load("softmax").seeds[0].source
SIZES = (1_000, 10_000, 50_000, 100_000)
CELLS = 10_000
FRONT = 20  # members that leave, and partners that are chosen
WINDOW = 1_000  # candidates over which a figure is taken
LOOPS = 2_000_000  # of the fixed piece of Python


@dataclass(frozen=True, slots=True)
class Spent:
    """Seconds by the clock and of the processor."""

    wall: float
    cpu: float

    def __add__(self, other: "Spent") -> "Spent":
        return Spent(self.wall + other.wall, self.cpu + other.cpu)


class Watch:
    """Says what was spent since it was made."""

    def __init__(self) -> None:
        self._wall, self._cpu = perf_counter(), process_time()

    def spent(self) -> Spent:
        """Read both clocks."""
        return Spent(perf_counter() - self._wall, process_time() - self._cpu)


def candidate(number: int, parents: tuple[str, ...]) -> Candidate:
    """Make up a program that differs from all others."""
    source = f"{LINES}# program {number}\n"
    structure = "structure" if number % 2 else f"structure {number % 2000}"
    return Candidate(source, "knob-step", f"BLOCK -> {number}", parents, digest(source), structure)


def cell(verdict: Evaluation) -> Cell:
    """Put a verdict into one of CELLS cells, by its program."""
    return (str(int(str(verdict.program), 16) % CELLS),)


def evaluation(number: int, rng: np.random.Generator) -> Evaluation:
    """Make up a verdict: one in five fails, the others have four cases and two kernels."""
    if number % 5 == 4:
        failure = Failure(Stage.COMPILE, "compiler", "x" * 300, "y" * 600)
        return Evaluation("mi300", Basis.PREDICTED, "process", failure)
    times = rng.lognormal(3, 0.5, 4)
    cases = tuple(CaseResult(f"case {i}", float(t), 0.1, 1.0, "memory") for i, t in enumerate(times))
    width, occupancy, waves = float(rng.choice([4, 8, 16])), int(rng.integers(1, 9)), int(2 ** rng.integers(0, 5))
    kernels = tuple(
        Resources(f"k{i}", 32, 30, 0, 0, 1024, waves, occupancy, 0, width, digest(str(number))) for i in range(2)
    )
    return Evaluation("mi300", Basis.PREDICTED, "process", None, cases, kernels, digest(f"program {number}"))


@dataclass(frozen=True, slots=True)
class Filled:
    """An archive that was filled: microseconds a candidate around each size, and the bytes of an average event."""

    costs: dict[int, Spent]
    written: int
    archive: Archive


def run(folder: Path, size: int, describe: Callable[[Evaluation], Cell] = cell) -> Filled:
    """Fill an archive."""
    rng = np.random.default_rng(0)
    settings = Settings(target="mi300", basis="predicted", generations=size, population=8)
    search = Search(0, 8, size)
    search.archive._describe = describe
    costs: list[Spent] = []
    written = 0
    with Journal.create(folder) as journal:
        journal.append(Started(settings.model_dump(), tasks.pack(load("softmax")), {}, {}))
        for number in range(size):
            if number:
                watch = Watch()
                request = search.ask(1)[0]
                costs.append(watch.spent())
                made = candidate(request.number, tuple(p.id for p in request.parents))
            else:
                made = Candidate(LINES, "seed", "plain", (), digest(LINES), "structure")
            verdict = evaluation(number, rng)
            for event in (Proposed(number, made), Judged(number, verdict)):
                written += len(events.encode(event)[1])
                watch = Watch()
                journal.append(event)
                search.tell(event)
                if costs:
                    costs[-1] += watch.spent()
    around = {n: costs[max(0, n - WINDOW) : n] for n in SIZES if n <= size}
    return Filled({n: mean(window) for n, window in around.items()}, written // (2 * size), search.archive)


def late(archive: Archive) -> dict[str, Spent]:
    """Return microseconds of what a full archive is asked for now and then."""
    rng = np.random.default_rng(1)
    failed = replace(evaluation(4, rng), basis=Basis.MEASURED)
    gone, strangers = [], []
    for name in archive.front.draw(FRONT, rng):
        watch = Watch()
        archive.measure(name, failed)
        gone.append(watch.spent())
    for _ in range(FRONT):
        watch = Watch()
        selection.stranger(archive, archive.history.draw(rng), rng)
        strangers.append(watch.spent())
    return {"a member of the front fails on a device": mean(gone), "a partner from another cell": mean(strangers)}


def mean(window: list[Spent]) -> Spent:
    """Return the means in microseconds."""
    return Spent(1e6 * statistics.fmean(s.wall for s in window), 1e6 * statistics.fmean(s.cpu for s in window))


def resume(folder: Path) -> tuple[Spent, int]:
    """Return the seconds to rebuild a run from its journal, and the number of its events."""
    watch = Watch()
    with Journal.append_to(folder) as journal:
        state = runs.fold(journal)
        seconds = watch.spent()
        count = sum(1 for _ in journal.rows())
    if len(state.search.archive) == 0:
        raise SystemExit("the resumed archive is empty")
    return seconds, count


def floor(folder: Path, size: int) -> Spent:
    """Return microseconds for two plain inserts of `size` bytes, the least a durable journal could cost."""
    connection = sqlite3.connect(folder / "floor.db", isolation_level=None)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=NORMAL")
    connection.execute("CREATE TABLE t (seq INTEGER PRIMARY KEY, payload BLOB)")
    payload = bytes(size)
    watch = Watch()
    for _ in range(2 * WINDOW):
        connection.execute("INSERT INTO t (payload) VALUES (?)", (payload,))
    spent = watch.spent()
    return Spent(spent.wall / WINDOW * 1e6, spent.cpu / WINDOW * 1e6)


def pace() -> Spent:
    """Return what a fixed piece of Python takes in seconds, to tell machines and their load apart."""
    watch, total = Watch(), 0
    for number in range(LOOPS):
        total += number % 7
    return watch.spent()


def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory(dir=".") as name:
        folder = Path(name)
        full = run(folder / "hundred", SIZES[-1])
        costs, size, asked = full.costs, full.written, late(full.archive)
        plain, beat = floor(folder, size), pace()
        real = run(folder / "real", SIZES[1], descriptors.cell)
        run(folder / "fifty", SIZES[-1] // 2)
        seconds, count = resume(folder / "fifty")
    machine = f"{platform.machine()}, Python {platform.python_version()}"
    if "--json" in sys.argv:
        result = {
            "machine": machine, "microseconds_per_candidate": {n: asdict(c) for n, c in costs.items()},
            "made_up_cells": len(full.archive.elites), "real_cells": descriptors.CELLS,
            "real_cells_filled": len(real.archive.elites),
            "with_real_cells": asdict(real.costs[SIZES[1]]), "now_and_then": {n: asdict(c) for n, c in asked.items()},
            "sqlite_floor_microseconds": asdict(plain), "fixed_python_seconds": asdict(beat),
            "resume_events": count, "resume_seconds": asdict(seconds),
        }  # fmt: skip
        print(json.dumps(result, indent=2))
        return
    print(f"ask + tell + journal, microseconds a candidate, mean of {WINDOW} ({machine}, one process)")
    print(f"{'':<24}{'processor':>10}{'clock':>8}")
    for n, cost in costs.items():
        print(f"  {n:>7,} in the archive{cost.cpu:>10.0f}{cost.wall:>8.0f}   (bound: 2,000 at 10,000)")
    own, cells = real.costs[SIZES[1]], f"{len(real.archive.elites)} filled of {descriptors.CELLS}"
    print(f"  {SIZES[1]:>7,} in real cells  {own.cpu:>10.0f}{own.wall:>8.0f}   ({cells})")
    cells = f"{len(full.archive.elites):,} made-up cells, {len(full.archive.front)} in the front"
    for name, cost in asked.items():
        print(f"  {name:<40}{cost.cpu:>8.0f}{cost.wall:>8.0f}   ({cells})")
    print(f"  two plain inserts     {plain.cpu:>10.0f}{plain.wall:>8.0f}   (of {size:,} bytes into SQLite, same disk)")
    print(
        f"resuming {count:,} events: {seconds.cpu:.2f} s of the processor, {seconds.wall:.2f} s (bound: 5 s at 100,000)"
    )
    print(f"{LOOPS:,} turns of a fixed loop: {beat.cpu:.2f} s of the processor, {beat.wall:.2f} s")


if __name__ == "__main__":
    main()
