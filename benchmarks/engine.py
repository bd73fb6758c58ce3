"""What the search itself costs: ask, tell and journal per candidate, and resuming; judging is left out.

    python benchmarks/engine.py            prints one table
    python benchmarks/engine.py --json     the same for machines

Programs are made up, of a real kernel's length, with verdicts of the real shape, in 10,000 cells; half have one
structure, the others one of 1,000. The search, archive and journal are the real ones, on the disk of the current
folder. The paired figure is a plain SQLite insert of the same bytes on the same disk in the same run: the floor of any
durable journal.
"""

import json
import platform
import sqlite3
import statistics
import sys
import tempfile
from pathlib import Path
from time import perf_counter

import numpy as np

from archives import events
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
WINDOW = 1_000  # candidates over which a figure is taken


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


def run(folder: Path, size: int) -> tuple[dict[int, float], int]:
    """Fill an archive; return microseconds a candidate around each size, and the bytes of an average event."""
    rng = np.random.default_rng(0)
    settings = Settings(target="mi300", basis="predicted", generations=size, population=8)
    search = Search(0, 8, size)
    search.archive = Archive(describe=cell)
    costs: list[float] = []
    written = 0
    with Journal.create(folder) as journal:
        journal.append(Started(settings.model_dump(), tasks.pack(load("softmax")), {}, {}))
        for number in range(size):
            if number:
                started = perf_counter()
                request = search.ask(1)[0]
                costs.append(perf_counter() - started)
                made = candidate(request.number, tuple(p.id for p in request.parents))
            else:
                made = Candidate(LINES, "seed", "plain", (), digest(LINES), "structure")
            verdict = evaluation(number, rng)
            for event in (Proposed(number, made), Judged(number, verdict)):
                written += len(events.encode(event)[1])
                started = perf_counter()
                journal.append(event)
                search.tell(event)
                if costs:
                    costs[-1] += perf_counter() - started
    around = {n: costs[max(0, n - WINDOW) : n] for n in SIZES if n <= size}
    return {n: statistics.fmean(window) * 1e6 for n, window in around.items()}, written // (2 * size)


def resume(folder: Path) -> tuple[float, int]:
    """Return the seconds to rebuild a run from its journal, and the number of its events."""
    started = perf_counter()
    with Journal.append_to(folder) as journal:
        state = runs.fold(journal)
        seconds = perf_counter() - started
        count = sum(1 for _ in journal.rows())
    if len(state.search.archive) == 0:
        raise SystemExit("the resumed archive is empty")
    return seconds, count


def floor(folder: Path, size: int) -> float:
    """Return microseconds for two plain inserts of `size` bytes, the least a durable journal could cost."""
    connection = sqlite3.connect(folder / "floor.db", isolation_level=None)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=NORMAL")
    connection.execute("CREATE TABLE t (seq INTEGER PRIMARY KEY, payload BLOB)")
    payload = bytes(size)
    started = perf_counter()
    for _ in range(2 * WINDOW):
        connection.execute("INSERT INTO t (payload) VALUES (?)", (payload,))
    return (perf_counter() - started) / WINDOW * 1e6


def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory(dir=".") as name:
        folder = Path(name)
        costs, size = run(folder / "hundred", SIZES[-1])
        plain = floor(folder, size)
        run(folder / "fifty", SIZES[-1] // 2)
        seconds, count = resume(folder / "fifty")
    result = {
        "machine": f"{platform.machine()}, Python {platform.python_version()}",
        "microseconds_per_candidate": costs,
        "sqlite_floor_microseconds": plain,
        "resume_events": count,
        "resume_seconds": seconds,
    }
    if "--json" in sys.argv:
        print(json.dumps(result, indent=2))
        return
    print(f"ask + tell + journal, microseconds a candidate, mean of {WINDOW} ({result['machine']}, one process)")
    for n, cost in costs.items():
        print(f"  {n:>7,} in the archive   {cost:8.0f}   (bound: 2,000 at 10,000)")
    print(f"  two plain inserts of the same {size:,} bytes into SQLite on the same disk   {plain:8.0f}")
    print(f"resuming {count:,} events: {seconds:.2f} s (bound: 5 s at 100,000)")


if __name__ == "__main__":
    main()
