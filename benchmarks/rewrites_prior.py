"""What measured searches saw of families of rewrites, gathered for `evo_kernel/priors/TARGET.json`.

    python benchmarks/rewrites_prior.py evo_kernel/priors/h200.json RUNS rows.jsonl --note "what and when"

RUNS is a folder of run folders, whole or interrupted; `rows.jsonl` is of `benchmarks/rewrites_search.py`, for searches
whose journals are gone. Of a run the kind of each parent is known, of a row that of the task's seed kernel. Predicted
runs, and those that rewrote nothing, are left out. Prints how much better than chance families of a task are drawn by
what the other tasks' searches saw: the share of a family's tries that gained, weighed by how often it is drawn.
"""

import argparse
import json
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np

from evo_kernel import runs
from evo_kernel.credit import PRIOR
from operators.rewrites.kinds import kind
from suites import load

DRAWS = 400
ENOUGH = 20  # rewrites of a task that must have been judged for it to be in the table; the file has all
Seen = dict[tuple[str, str], list[float]]  # kind of kernel and family -> gains, misses


def of_run(folder: Path, target: str) -> tuple[str, Seen, str] | None:
    """Return a run's task, what it saw itself of rewrites, and where; None for a run that is left out."""
    state = runs.read(folder)
    credit = state.search.credit
    if state.settings.target != target or state.settings.basis != "measured" or not credit.families:
        return None
    credit.learn(())  # what it was given was seen elsewhere
    seen = {(kernel, family): [gains, misses] for _, kernel, family, gains, misses in credit.passed_on()}
    versions = state.started.versions
    where = f"{state.started.machine['gpu']}, torch {versions.get('torch')}, triton {versions.get('triton')}"
    return state.task.name, seen, where


def of_row(row: dict, target: str) -> tuple[str, Seen, str] | None:
    """Return the same of a row."""
    families = [one for one in row.get("credit", ()) if one["kind"] == "rewrite"]
    if row["kind"] != "search" or row["target"] != target or row["basis"] != "measured" or not families:
        return None
    kernel = kind(load(row["task"]).seeds[0].source)
    seen: Seen = {(kernel, one["name"]): [one["gains"], one["tries"] - one["gains"]] for one in families}
    return row["task"], seen, f"{row['device']}, rows of an earlier version"


def gathered(sources: list[Path], target: str) -> tuple[dict[str, Seen], Counter[str]]:
    """Add up what all sources saw, by task, and count the searches by where they were made."""
    tasks: dict[str, Seen] = defaultdict(lambda: defaultdict(lambda: [0, 0]))
    made: Counter[str] = Counter()
    found = []
    for source in sources:
        if source.is_dir():
            found += [of_run(file.parent, target) for file in sorted(source.glob("*/journal.db"))]
        else:
            found += [of_row(json.loads(line), target) for line in source.read_text().splitlines()]
    for task, seen, where in (one for one in found if one is not None):
        made[where] += 1
        for key, (gains, misses) in seen.items():
            tasks[task][key][0] += gains
            tasks[task][key][1] += misses
    return tasks, made


def drawn(task: str, tasks: dict[str, Seen], rng: np.random.Generator) -> tuple[float, float]:
    """Return the share of a task's tries that gain where families are drawn by the other tasks, and by chance."""
    others: Seen = defaultdict(lambda: [0, 0])
    for name, seen in tasks.items():
        for key, (gains, misses) in seen.items() if name != task else ():
            others[key][0] += gains
            others[key][1] += misses
    keys = sorted(tasks[task])
    shares = {key: min(1.0, PRIOR / max(1, sum(others[key]))) for key in keys}
    draws = [[rng.beta(1 + shares[k] * others[k][0], 1 + shares[k] * others[k][1]) for k in keys] for _ in range(DRAWS)]
    rates = np.array([tasks[task][k][0] / sum(tasks[task][k]) for k in keys])
    return float(rates[np.argmax(draws, 1)].mean()), float(rates.mean())


def main() -> None:
    """Gather, print what it is worth, and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="the file to write; its name is the target's")
    parser.add_argument("sources", type=Path, nargs="+", help="folders of runs, and files of rows")
    parser.add_argument("--note", default="", help="what the searches were")
    given = parser.parse_args()
    tasks, made = gathered(given.sources, given.out.stem)
    rng = np.random.default_rng(0)
    enough = [task for task in sorted(tasks) if sum(map(sum, tasks[task].values())) >= ENOUGH]
    worth = {task: drawn(task, tasks, rng) for task in enough}
    for task, (by_others, by_chance) in worth.items():
        print(f"{task:<24} gained {by_others:.2f} of tries as the others say, {by_chance:.2f} by chance")
    means = np.mean(list(worth.values()), axis=0)
    ahead = sum(by_others > by_chance for by_others, by_chance in worth.values())
    print(f"all: {means[0]:.2f} and {means[1]:.2f}; ahead on {ahead} of {len(worth)} tasks")
    rows = {task: [[*key, *map(int, counts)] for key, counts in sorted(seen.items())] for task, seen in tasks.items()}
    lines = ",\n".join(f"  {json.dumps(task)}: {json.dumps(found)}" for task, found in sorted(rows.items()))
    head = json.dumps({"note": given.note, "searches": dict(made)})[:-1]
    given.out.parent.mkdir(exist_ok=True)
    given.out.write_text(f'{head}, "tasks": {{\n{lines}\n}}}}\n')


if __name__ == "__main__":
    main()
