"""What measured searches saw of families of rewrites, gathered for `evo_kernel/priors/TARGET.json`.

    python benchmarks/rewrites_prior.py evo_kernel/priors/h200.json RUNS rows.jsonl --note "what and when"

RUNS is a folder of run folders, whole or interrupted; `rows.jsonl` is of `benchmarks/rewrites_search.py`, for searches
whose journals are gone, or of `benchmarks/rewrites_singles.py`: families over fixed settings, of products not over the
seed's, whose tiles hide what a rewrite is worth. Of a run the kind of each parent is known, of a row that of the
task's seed kernel. Predicted runs, and those that rewrote nothing, are left out. Prints how much better than chance
families of a task are drawn by what was seen of other tasks: the mean logarithm of what a try gained (nothing where it
did not), weighed by how often its family is drawn.
"""

import argparse
import json
import math
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
from rewrites_singles_table import GAIN, tries  # beside this file

from evo_kernel import runs
from evo_kernel.credit import NOTHING, PRIOR, Counts, added, weighed
from operators.rewrites.kinds import PRODUCTS, kind
from operators.rewrites.operator import worth
from suites import load

DRAWS = 400
ENOUGH = 20  # rewrites of a task that must have been judged for it to be in the table; the file has all
Seen = dict[tuple[str, str], Counts]  # of a kind of kernel and a family


def of_run(folder: Path, target: str) -> tuple[str, Seen, str] | None:
    """Return a run's task, what it saw itself of rewrites, and where; None for a run that is left out."""
    state = runs.read(folder)
    credit = state.search.credit
    if state.settings.target != target or state.settings.basis != "measured" or not credit.families:
        return None
    credit.learn((), shipped=False)  # what it was given was seen elsewhere
    seen = {(kernel, family): (g, m, log) for _, kernel, family, g, m, log in credit.passed_on()}
    versions = state.started.versions
    where = f"{state.started.machine['gpu']}, torch {versions.get('torch')}, triton {versions.get('triton')}"
    return state.task.name, seen, where


def of_singles(row: dict) -> tuple[str, Seen, str]:
    """Return the same of single families over fixed settings."""
    seen: Seen = {}
    for families, one in tries(row):
        if len(families) > 1 or one.base == "rewrites" or (row["kind"] == PRODUCTS and one.base == "seed"):
            continue
        gained = one.gain is not None and one.gain > GAIN
        counts = (1.0, 0.0, math.log(one.gain)) if gained else (0.0, 1.0, 0.0)
        key = (row["kind"], families[0])
        seen[key] = added(seen.get(key, NOTHING), counts)
    return row["task"], seen, f"{row['device']}, torch {row['torch']}, triton {row['triton']}, single families"


def of_row(row: dict, target: str) -> tuple[str, Seen, str] | None:
    """Return the same of a row."""
    families = [one for one in row.get("credit", ()) if one["kind"] == "rewrite"]
    if row["kind"] != "search" or row["target"] != target or row["basis"] != "measured" or not families:
        return None
    kernel = kind(load(row["task"]).seeds[0].source)
    seen: Seen = {
        (kernel, one["name"]): (one["gains"], one["tries"] - one["gains"], one["gains"] * math.log(one["mean_gain"]))
        for one in families
    }
    return row["task"], seen, f"{row['device']}, rows of an earlier version"


def gathered(sources: list[Path], target: str) -> tuple[dict[str, Seen], Counter[str]]:
    """Add up what all sources saw, by task, and count the searches by where they were made."""
    tasks: dict[str, Seen] = defaultdict(dict)
    made: Counter[str] = Counter()
    found = []
    for source in sources:
        if source.is_dir():
            found += [of_run(file.parent, target) for file in sorted(source.glob("*/journal.db"))]
        else:
            rows = [json.loads(line) for line in source.read_text().splitlines()]
            found += [of_singles(row) if "variants" in row else of_row(row, target) for row in rows]
    for task, seen, where in (one for one in found if one is not None):
        made[where] += 1
        for key, counts in seen.items():
            tasks[task][key] = added(tasks[task].get(key, NOTHING), counts)
    return tasks, made


def drawn(task: str, tasks: dict[str, Seen], rng: np.random.Generator) -> tuple[float, float]:
    """Return the mean log-gain of a task's tries where families are drawn by the other tasks, and by chance."""
    others: Seen = {}
    for name, seen in tasks.items():
        for key, counts in seen.items() if name != task else ():
            others[key] = added(others.get(key, NOTHING), counts)
    keys = sorted(tasks[task])
    known = [weighed(*others[key], PRIOR) if key in others else NOTHING for key in keys]
    draws = [[worth(counts, rng) for counts in known] for _ in range(DRAWS)]
    gains = np.array([tasks[task][k][2] / sum(tasks[task][k][:2]) for k in keys])
    return float(gains[np.argmax(draws, 1)].mean()), float(gains.mean())


def main() -> None:
    """Gather, print what it is worth, and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="the file to write; its name is the target's")
    parser.add_argument("sources", type=Path, nargs="+", help="folders of runs, and files of rows")
    parser.add_argument("--note", default="", help="what the searches were")
    given = parser.parse_args()
    tasks, made = gathered(given.sources, given.out.stem)
    rng = np.random.default_rng(0)
    enough = [t for t in sorted(tasks) if sum(sum(counts[:2]) for counts in tasks[t].values()) >= ENOUGH]
    worth = {task: drawn(task, tasks, rng) for task in enough}
    for task, (by_others, by_chance) in worth.items():
        print(f"{task:<24} a try gains {by_others:.3f} as the others say, {by_chance:.3f} by chance")
    means = np.mean(list(worth.values()), axis=0)
    ahead = sum(by_others > by_chance for by_others, by_chance in worth.values())
    print(f"all: {means[0]:.3f} and {means[1]:.3f}; ahead on {ahead} of {len(worth)} tasks")
    rows = {task: [[*key, int(g), int(m), round(log, 3)] for key, (g, m, log) in sorted(seen.items())]
            for task, seen in tasks.items()}  # fmt: skip
    lines = ",\n".join(f"  {json.dumps(task)}: {json.dumps(found)}" for task, found in sorted(rows.items()))
    head = json.dumps({"note": given.note, "searches": dict(made)})[:-1]
    given.out.parent.mkdir(exist_ok=True)
    given.out.write_text(f'{head}, "tasks": {{\n{lines}\n}}}}\n')


if __name__ == "__main__":
    main()
