"""Predicts for another chip the programs that searches of the study measured, and correlates both gains."""

import json
import math
import time
from pathlib import Path
from typing import Any

from rewrites_search_row import unpacked  # beside this file

from fitness.evaluation import Evaluation
from fitness.jail import WorkerLost
from fitness.judge import Judge
from suites import load


def run(file: Path, chip: str, minutes: float, most: int) -> None:
    """Predict what has no row yet: of each search with rewrites, its first children."""
    until = time.monotonic() + 60 * minutes
    rows = [json.loads(line) for line in file.read_text().splitlines()]
    done = {(r["task"], r["seed"], r["chip"]) for r in rows if r["kind"] == "predicted"}
    wanted = [
        r for r in rows
        if r["kind"] == "search" and r["arm"] == "rewrites" and (r["task"], r["seed"], chip) not in done
    ]  # fmt: skip
    for name in dict.fromkeys(r["task"] for r in wanted):
        judge = Judge(load(name), chip)
        try:
            own = judge.judge(judge.task.seeds[0].source)
            for row in [r for r in wanted if r["task"] == name]:
                if time.monotonic() > until:
                    print("the time is up: call again")
                    return
                pairs = [pair(judge, own, child) for child in row["children"][:most]]
                found = {
                    "kind": "predicted", "task": name, "seed": row["seed"], "chip": chip,
                    "on": row["device"] or "no device", "pairs": [p for p in pairs if p is not None],
                    "failed": pairs.count(None),
                }  # fmt: skip
                with file.open("a") as opened:
                    opened.write(json.dumps(found) + "\n")
                said = f"{len(found['pairs'])} children, {found['failed']} fail on {chip}"
                print(f"{name:<22} seed {row['seed']}  {said}", flush=True)
        finally:
            judge.close()


def pair(judge: Judge, own: Evaluation, child: list[Any]) -> list[float] | None:
    """Return the logarithms of a child's two gains over the seed, measured and predicted; None where it fails."""
    _, ratio, source = child
    for _ in range(2):  # a lost worker is replaced
        try:
            e = judge.judge(unpacked(source))
        except WorkerLost:
            continue
        return [-math.log(ratio), math.log(own.score_us / e.score_us)] if e.passed else None
    return None
