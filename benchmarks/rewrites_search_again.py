"""Judges the best programs of the study again, alone on a GPU: new data, all edges with the huge ones, beside the seed.

While searches shared a GPU no judge had the memory for edges of more than 2^31 elements. Here one judge has all of it,
and programs are built ahead for it.
"""

import contextlib
import json
import time
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

from rewrites_search_row import unpacked  # beside this file

from fitness import targets
from fitness.build import Builder, Built, Purpose, Refusal
from fitness.child import Limits
from fitness.evaluation import Evaluation
from fitness.gpu.court import Court
from fitness.measure import MeasuringJudge
from fitness.targets import Target
from fitness.verification import edges, huge
from suites import Task, load

Row = dict[str, Any]
BUILDERS = 6


def run(file: Path, rows: list[Row], tasks: list[str], target: str, minutes: float, arm: str) -> None:
    """Judge each task's best program of one arm that has no row yet."""
    until = time.monotonic() + 60 * minutes
    chip, done = targets.find(target), {(r["task"], r["arm"]) for r in rows if r["kind"] == "again"}
    todo = [best(rows, task, arm) for task in tasks if (task, arm) not in done]
    with contextlib.closing(Court(chip)) as court, ThreadPoolExecutor(BUILDERS) as pool:
        court.start()
        made = [(row, pool.submit(built, load(row["task"]), row, chip, court.room)) for row in todo if row is not None]
        for row, future in made:
            if time.monotonic() > until:
                pool.shutdown(cancel_futures=True)
                print("the time is up: call again")
                return
            began = time.monotonic()
            task = load(row["task"])
            found = judged(task, chip, court, future)
            again = figures(found, task, court.room) | {"task": task.name, "arm": arm, "seed": row["seed"]}
            again |= {"before": row["ratio"], "seconds": time.monotonic() - began}
            with file.open("a") as opened:
                opened.write(json.dumps(again) + "\n")
            print(f"{task.name:<22} {again}", flush=True)


def best(rows: list[Row], task: str, arm: str) -> Row | None:
    """Return the search of a task in which an arm gained most."""
    found = [r for r in rows if (r["kind"], r.get("task"), r.get("arm")) == ("search", task, arm)]
    return min(found, key=lambda r: r["ratio"][0], default=None)


def built(task: Task, row: Row, chip: Target, room: int) -> Built:
    """Build a search's best program for all cases, and for all edges that there is room for."""
    with contextlib.closing(Builder(task, chip, Limits(), Purpose(code=True, imports=True))) as builder:
        return builder.build(unpacked(row["source"]), task.cases, (*edges(task), *huge(task, room)))


def judged(task: Task, chip: Target, court: Court, future: "Future[Built]") -> Evaluation:
    """Judge what was built as `evo-kernel measure` does, in the court that all share."""
    judge = MeasuringJudge(task, chip, court=court)
    try:
        return judge.measure(future.result(), {"baseline": task.seeds[0].source}, confirm=True)
    except Refusal as refused:
        return judge.refusal(refused.failure)
    finally:
        judge.rest()


def figures(found: Evaluation, task: Task, room: int) -> Row:
    """Return what is kept of a verdict."""
    beside = found.ratio_to("baseline")
    return {
        "kind": "again", "target": found.target, "device": found.device, "passed": found.passed,
        "failure": found.failure and f"{found.failure.stage}, {found.failure.kind}: {found.failure.message}",
        "notes": list(found.notes), "huge": [e.name for e in huge(task, room)], "confirmed": found.confirmed,
        "ratio": beside and [beside.ratio, beside.low, beside.high],
    }  # fmt: skip
