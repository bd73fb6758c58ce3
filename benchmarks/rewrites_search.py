"""What rewrites add to a search without models: searches of native tasks with and without them, on this machine's GPU.

    python benchmarks/rewrites_search.py search rows.jsonl --minutes 9   on a machine with a GPU; call it again to go on
    python benchmarks/rewrites_search.py peers rows.jsonl --minutes 5    there too: torch beside seeds and best programs
    python benchmarks/rewrites_search.py again rows.jsonl --minutes 9    there too: best programs, huge edges as well
    python benchmarks/rewrites_search.py predict rows.jsonl --minutes 9  anywhere: the same children on another chip
    python benchmarks/rewrites_search.py keep rows.jsonl             put them to those that are kept in benchmarks/rows
    python benchmarks/rewrites_search.py table [rows.jsonl]          of these rows, or of those that are kept

Every search is `evo-kernel search` as it ships, with the inline pool, and differs in its operators alone: the knob
operators, or those and rewrites. Several share a GPU at once and take turns at its clock, as builders on the CPU are
what a search waits for. A row is added when a search is over, seed by seed, so that a part of the study is balanced; a
search that the time cut short goes on from its journal while its folder is there, and one that is kept already is not
made again. What it found counts by its last measurement: fresh data, all edges, three fresh processes, beside the seed.
"""

import argparse
import json
import lzma
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rewrites_search_row import ARMS  # beside this file

from suites import names

GRACE = 20.0  # seconds that interrupted searches have to close their journals
OWN = Path(__file__)
KEPT = OWN.parent / "rows" / "rewrites_search.jsonl.xz"


@dataclass(slots=True)
class Running:
    """A search in a process of its own."""

    job: dict[str, Any]
    process: subprocess.Popen
    row: Path
    gpu: int
    began: float


def read(file: Path) -> list[dict[str, Any]]:
    """Return the rows so far, of a file that may be compressed."""
    if not file.exists():
        return []
    with lzma.open(file, "rt") if file.suffix == ".xz" else file.open() as opened:
        return [json.loads(line) for line in opened]


def add(file: Path, row: dict[str, Any]) -> None:
    """Append a row."""
    with file.open("a") as opened:
        opened.write(json.dumps(row) + "\n")


def identity(job: dict[str, Any]) -> tuple[Any, ...]:
    """Return what makes a search another one than the rest of the study."""
    return tuple(job[k] for k in ("task", "seed", "arm", "evaluations", "target", "basis"))


def jobs(given: argparse.Namespace) -> list[dict[str, Any]]:
    """List the searches that have no row yet, seed by seed."""
    done = {identity(row) for row in (*read(KEPT), *read(given.rows)) if row["kind"] == "search"}
    every = [
        {"task": task, "seed": seed, "arm": arm, "evaluations": given.evaluations, "target": given.target,
         "basis": given.basis, "workers": given.workers, "judges": given.judges or given.at_once}
        for seed in range(given.first_seed, given.first_seed + given.seeds)
        for task in given.tasks.split(",")
        for arm in given.arms.split(",")
    ]  # fmt: skip
    return [job for job in every if identity(job) not in done]


def search(given: argparse.Namespace) -> None:
    """Run searches until all are done or the time is up."""
    until, waiting = time.monotonic() + 60 * given.minutes, jobs(given)
    places = [gpu for _ in range(given.at_once) for gpu in range(given.gpus)]
    print(f"{len(waiting)} searches to do, {len(places)} at once on {given.gpus} GPUs", flush=True)
    given.runs.mkdir(parents=True, exist_ok=True)
    running: list[Running] = []
    try:
        while (waiting or running) and time.monotonic() < until:
            while waiting and len(running) < len(places):
                free = next(g for g in places if sum(r.gpu == g for r in running) < places.count(g))
                running.append(begin(waiting.pop(0), free, given))
            time.sleep(0.5)
            for one in [r for r in running if r.process.poll() is not None]:
                running.remove(one)
                finish(one, given)
    finally:
        interrupt(running)
    left = len(waiting) + len(running)
    print("complete" if not left else f"{left} searches are left: call again with {given.rows}", flush=True)


def begin(job: dict[str, Any], gpu: int, given: argparse.Namespace) -> Running:
    """Start a search in a process of its own, on one GPU."""
    name = f"{job['task']}-{job['arm']}-{job['seed']}-{job['evaluations']}-{job['basis']}"
    row, log = given.runs / f"{name}.row", given.runs / f"{name}.log"
    row.unlink(missing_ok=True)
    seen = os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",")
    place = seen[gpu] if gpu < len(seen) and seen[gpu] else str(gpu)
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": place, "OMP_NUM_THREADS": "1"}
    command = [
        sys.executable,
        str(OWN.with_name("rewrites_search_row.py")),
        json.dumps(job),
        str(given.runs / name),
        str(row),
    ]
    with log.open("a") as opened:
        process = subprocess.Popen(command, env=environment, stdout=opened, stderr=opened)
    return Running(job, process, row, gpu, time.monotonic())


def finish(one: Running, given: argparse.Namespace) -> None:
    """Keep the row of a search that is over, or say what stopped it."""
    job, seconds = one.job, time.monotonic() - one.began
    said = f"{job['task']:<22} {job['arm']:<9} seed {job['seed']}"
    if not one.row.exists():
        log = one.row.with_suffix(".log").read_text().strip().splitlines()
        print(f"{said}  FAILED after {seconds:.0f} s: {log[-1] if log else 'it said nothing'}", flush=True)
        return
    row = json.loads(one.row.read_text())
    add(given.rows, row)
    ratio, low, high = row["ratio"]
    print(
        f"{said}  {1 / ratio:.3f} times as fast [{1 / high:.3f}, {1 / low:.3f}], {row['roofline']:.0%} of roofline, "
        f"{row['evaluations_done']} evaluations in {seconds:.0f} s ({row['gpu_seconds']:.0f} on the GPU)", flush=True,
    )  # fmt: skip


def interrupt(running: list[Running]) -> None:
    """Stop searches as Ctrl-C does; whoever does not is killed."""
    for one in running:
        one.process.send_signal(signal.SIGTERM)
    until = time.monotonic() + GRACE
    for one in running:
        try:
            one.process.wait(max(0.1, until - time.monotonic()))
        except subprocess.TimeoutExpired:
            one.process.kill()
            one.process.wait()


def peers(given: argparse.Namespace) -> None:
    """Time torch beside seeds and best programs."""
    import rewrites_search_peers

    rows = [*read(KEPT), *read(given.rows)]
    rewrites_search_peers.run(given.rows, rows, given.tasks.split(","), given.target, given.minutes, given.patience,
                              given.calls)  # fmt: skip


def again(given: argparse.Namespace) -> None:
    """Judge the best programs again, with all of a GPU's memory."""
    import rewrites_search_again

    rows = [*read(KEPT), *read(given.rows)]
    rewrites_search_again.run(given.rows, rows, given.tasks.split(","), given.target, given.minutes, given.arm)


def predict(given: argparse.Namespace) -> None:
    """Predict the children that were measured for another chip."""
    import rewrites_search_predicted

    rewrites_search_predicted.run(given.rows, given.chip, given.minutes, given.most)


def keep(given: argparse.Namespace) -> None:
    """Put rows to those that are kept, without what only the prediction of other chips needs."""
    every = {key(row): slim(row) for row in (*read(KEPT), *read(given.rows))}
    KEPT.parent.mkdir(exist_ok=True)
    with lzma.open(KEPT, "wt", preset=9) as opened:
        opened.writelines(json.dumps(every[k]) + "\n" for k in sorted(every))
    print(f"{len(every)} rows are kept in {os.path.relpath(KEPT)}")


def key(row: dict[str, Any]) -> str:
    """Return what makes a row another one than the rest: all that it was asked for, nothing that was found."""
    asked = ("kind", "task", "arm", "seed", "evaluations", "target", "basis", "what", "chip")
    return json.dumps([row.get(name) for name in asked])


def slim(row: dict[str, Any]) -> dict[str, Any]:
    """Return a row without its children, and with what became of families alone of all credit."""
    if row["kind"] != "search":
        return row
    credit = [one for one in row["credit"] if one["kind"] == "rewrite"]
    return {k: v for k, v in row.items() if k != "children"} | {"credit": credit}


def table(given: argparse.Namespace) -> None:
    """Print everything, or the tasks alone as Markdown."""
    import rewrites_search_markdown
    import rewrites_search_table

    print((rewrites_search_markdown if given.markdown else rewrites_search_table).text(read(given.rows)))


def main() -> None:
    """Do what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parts = parser.add_subparsers(required=True)
    one = parts.add_parser("search", help="search, on a machine with a GPU")
    one.add_argument("--seeds", type=int, default=5)
    one.add_argument("--first-seed", type=int, default=0)
    one.add_argument("--evaluations", type=int, default=160)
    one.add_argument("--arms", default=",".join(ARMS))
    one.add_argument("--basis", default="measured", choices=("measured", "predicted"))
    one.add_argument("--gpus", type=int, default=1)
    one.add_argument("--at-once", type=int, default=3, help="searches on each GPU")
    one.add_argument("--judges", type=int, help="judges that a GPU's memory is shared out to [as many as searches]")
    one.add_argument("--workers", type=int, default=4, help="builders of each search")
    one.add_argument("--runs", type=Path, default=Path("runs/rewrites-search"), help="folder of the runs")
    one.set_defaults(do=search)
    two = parts.add_parser("peers", help="time torch eager and compiled, on a machine with a GPU")
    two.add_argument("--patience", type=float, default=150.0, help="seconds of a compiler for all cases of a task")
    two.add_argument("--calls", action="store_true", help="torch's calls alone, beside the best programs")
    two.set_defaults(do=peers)
    six = parts.add_parser("again", help="judge the best programs again, alone on a GPU: on all edges, huge ones too")
    six.add_argument("--arm", default="rewrites", choices=tuple(ARMS))
    six.set_defaults(do=again)
    three = parts.add_parser("predict", help="predict the same children for another chip")
    three.add_argument("--chip", default="mi300")
    three.add_argument("--most", type=int, default=12, help="children of each search")
    three.set_defaults(do=predict)
    four = parts.add_parser("keep", help="put rows to those that are kept in the repository")
    four.set_defaults(do=keep)
    five = parts.add_parser("table", help="print the tables")
    five.set_defaults(do=table)
    five.add_argument("--markdown", action="store_true", help="the table of tasks, for RESULTS.md")
    for part in (one, two, three, four, six):
        part.add_argument("rows", type=Path, help="the file of rows, which each part adds to")
    five.add_argument("rows", type=Path, nargs="?", default=KEPT, help="the file of rows [those that are kept]")
    for part in (one, two, six):
        part.add_argument("--tasks", default=",".join(names()))
        part.add_argument("--target", default="h200")
    for part in (one, two, three, six):
        part.add_argument("--minutes", type=float, default=9.0)
    given = parser.parse_args()
    given.do(given)


if __name__ == "__main__":
    main()
