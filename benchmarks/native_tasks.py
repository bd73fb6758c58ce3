"""Checks every native task whole, and on a GPU times its seed beside PyTorch.

    python benchmarks/native_tasks.py check [--tasks a,b] [--targets h200,mi300,mi250] [--results FILE]
    python benchmarks/native_tasks.py mutate [--tasks a,b] [--most 40] [--results FILE] [--markdown FILE]
    python benchmarks/native_tasks.py table [--tasks a,b] [--seconds 500] [--jobs 6] [--results FILE] [--markdown FILE]

check, without a GPU: the linter; every seed on all cases, held-out cases and small edges under the interpreter; machine
code for every target. mutate, without one: how many wrong versions of reference and seeds are killed. table, on a GPU:
every seed and honest implementation is judged at full size on all cases and held-out ones by limits made there; then
the seed, the fastest PyTorch of the bank and its torch.compile are timed in turn on each public case, from a cold
cache, beside the roofline. What stands in the results file is not done again, unless it failed; table ends with 1 where
anything is wrong, failed or left.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import native_rows  # beside this file

from fitness import checking, mutating, mutation
from fitness.build import Builder, Purpose, Refusal
from fitness.child import Limits
from fitness.judge import Judge
from fitness.lint import faults
from fitness.targets import find
from suites import Task, load, names

Row = dict[str, Any]


def check(task: Task, wanted: list[str]) -> Row:
    """Lint one task, judge its seeds on the first target, and compile them for all, edges too."""
    from suites.loading import find as text_of

    _, findings = checking.check(*text_of(task.name))
    row: Row = {"task": task.name, "level": task.level, "category": task.category, "faults": faults(findings),
                "seeds": {}}  # fmt: skip
    judge = Judge(task, wanted[0], limits=Limits(seconds=120.0))
    try:
        for seed in task.seeds:
            verdict = judge.judge(seed.source, (*task.cases, *task.held_out))
            found = {wanted[0]: str(verdict.failure.message) if verdict.failure else "passed"}
            row["seconds"] = {str(k): round(v, 1) for k, v in judge.seconds.items()}
            for name in wanted:
                state = _compiled(task, seed.source, name)
                if name not in found or state != "compiled":
                    found[name] = state
            row["seeds"][seed.name] = found
    finally:
        judge.close()
    return row


def _compiled(task: Task, source: str, target: str) -> str:
    """Say whether a seed compiles for a target."""
    builder = Builder(task, find(target), Limits(seconds=120.0), Purpose(code=False))
    try:
        builder.build(source, (*task.cases, *task.held_out, *task.edges), ())
    except Refusal as refused:
        return refused.failure.message
    finally:
        builder.close()
    return "compiled"


def mutated(task: Task, target: str, most: int) -> Row:
    """Try mutants of one task's reference and seeds."""
    found = mutating.mutate(task, target, most)
    counts = {state: sum(t.state == state for t in found.tried) for state in mutation.STATES}
    left = [f"{t.of}, {t.mutant.said}" for t in found.tried if t.state == mutation.SURVIVED]
    whole = {"made": found.made, "share": mutating.share(found.tried)}
    return {"task": task.name, **counts, **whole, "survivors": left}


def said(row: Row) -> str:
    """Say in a few lines what became of mutants."""
    counts = ", ".join(f"{row[state]} {state}" for state in mutation.STATES)
    tried = sum(row[state] for state in mutation.STATES)
    head = f"{row['task']:<22} {percent(row['share'])} killed of {tried} tried of {row['made']}: {counts}"
    return "\n    ".join([head, *row["survivors"]])


def percent(share: float | None) -> str:
    """Write a share, where there is one."""
    return "none" if share is None else f"{share:.1%}"


def mutants(rows: list[Row]) -> str:
    """Return the table of all tasks' mutants."""
    head = f"| task | {' | '.join(mutation.STATES)} | share killed |\n|---|{'---|' * (len(mutation.STATES) + 1)}"
    rows = sorted(rows, key=lambda row: row["task"])
    whole = {"task": "all", **{state: sum(row[state] for row in rows) for state in mutation.STATES}}
    killed = whole[mutation.KILLED] + whole[mutation.FAULTED]
    counted = killed + whole[mutation.SURVIVED]
    whole["share"] = killed / counted if counted else None
    lines = [
        f"| {row['task']} | {' | '.join(str(row[state]) for state in mutation.STATES)} | {percent(row['share'])} |"
        for row in (*rows, whole)
    ]
    return "\n".join([head, *lines]) + "\n"


def told(row: Row) -> str:
    """Say in one line what became of a check."""
    wrong = [
        f"{seed} on {target}: {state}"
        for seed, found in row["seeds"].items()
        for target, state in found.items()
        if state not in ("passed", "compiled")
    ]
    return f"{row['task']:<22} {row['level']} {row['category']:<15} {'; '.join([*row['faults'], *wrong]) or 'ok'}"


def kept(file: Path | None) -> dict[str, Row]:
    """Return what a results file holds, by task."""
    if file is None or not file.exists():
        return {}
    rows = [json.loads(line) for line in file.read_text().splitlines()]
    return {row["task"]: row for row in rows if "failed" not in row}


def write(row: Row, file: Path | None) -> None:
    """Keep a row, where there is a file for it."""
    if file is not None:
        with file.open("a") as out:
            out.write(json.dumps(row) + "\n")


def done(tasks: list[str], file: Path | None, one: Callable[[Task], Row], until: float) -> Iterator[Row]:
    """Do one task after another, those in the file excepted, and write each down."""
    known = kept(file)
    for name in tasks:
        if name in known:
            yield known[name]
        elif time.monotonic() < until:
            row = one(load(name))
            write(row, file)
            yield row


def main() -> None:
    """Run the part asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=["check", "mutate", "table"])
    parser.add_argument("--tasks", default=",".join(names()))
    parser.add_argument("--targets", default="h200,mi300,mi250", help="the first one is judged, the others compiled")
    parser.add_argument("--most", type=int, default=mutating.MOST, help="mutants of a reference, and of a seed")
    parser.add_argument("--seconds", type=float, default=1e9, help="begin no task after so long")
    parser.add_argument("--jobs", type=int, default=6, help="of table: tasks side by side; their clocks take turns")
    parser.add_argument("--results", type=Path)
    parser.add_argument("--markdown", type=Path, help="of table and mutate: write the table there too")
    options = parser.parse_args()
    tasks, until = options.tasks.split(","), time.monotonic() + options.seconds
    if options.part == "check":
        for row in done(tasks, options.results, lambda task: check(task, options.targets.split(",")), until):
            print(told(row), flush=True)
        return
    if options.part == "mutate":
        target = options.targets.split(",")[0]
        rows = []
        for row in done(tasks, options.results, lambda task: mutated(task, target, options.most), until):
            rows.append(row)
            print(said(row), flush=True)
        if options.markdown:
            options.markdown.write_text(mutants(rows))
        return
    known = kept(options.results)
    rows = [known[name] for name in tasks if name in known]
    for row in native_rows.clocked([name for name in tasks if name not in known], options.jobs, until):
        rows.append(row)
        write(row, options.results)
        print(native_rows.told(row), flush=True)
    if options.markdown:
        options.markdown.write_text(native_rows.markdown(rows))
    if left := sorted({*tasks} - {row["task"] for row in rows}):
        print(f"not begun, call again: {', '.join(left)}")
    sys.exit(0 if not left and all(map(native_rows.fine, rows)) else 1)


if __name__ == "__main__":
    main()
