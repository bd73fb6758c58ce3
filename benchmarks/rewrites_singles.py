"""What a rewrite alone is worth: each family, and a few chains, timed over fixed settings of native tasks' seeds.

    python benchmarks/rewrites_singles.py time singles.jsonl [--tasks a,b] [--jobs 8] [--rows rows.jsonl]
    python benchmarks/rewrites_singles.py table singles.jsonl

time, on a machine with a GPU: a process for each task (rewrites_singles_clock.py) compiles the task's programs beside
others who compile, and takes turns with them at the clock; what has a row is not done again. Bases are the seed, four
settings of products, and with `--rows` the best programs of older searches (rows of rewrites_search.py). table: what
families gain over the program before them, by kind of kernel, and what is had beyond the best settings of each task.
Nothing here is judged: a program whose result is more than 2% off the seed's in some case is named, and no gain.
"""

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

import native_rows  # beside this file, as the next one is
import rewrites_singles_table

from fitness.gpu import discover
from suites import names

CLOCK = Path(__file__).with_name("rewrites_singles_clock.py")
LONGEST = 400.0  # seconds for one task
Row = dict[str, Any]


def table(given: argparse.Namespace) -> None:
    """Print everything."""
    rows = list(rows_of(given.file).values())
    if not rows:
        sys.exit(f"{given.file} has no row of a task that was timed")
    print(rewrites_singles_table.text(rows))


def rows_of(file: Path) -> dict[str, Row]:
    """Return the last row of each task that was timed."""
    rows = [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []
    return {row["task"]: row for row in rows if "failed" not in row}


def timed(given: argparse.Namespace) -> None:
    """Time what has no row yet, several tasks side by side."""
    left = [name for name in given.tasks.split(",") if name not in rows_of(given.file)]
    if unknown := set(left) - set(names()):
        sys.exit(f"no native task is called {', '.join(sorted(unknown))}")
    command = (str(CLOCK), *(("--rows", str(given.rows)) if given.rows else ()))
    if given.rows and not given.rows.is_file():
        sys.exit(f"there is no file {given.rows}")
    if left and discover.own_target() is None:
        sys.exit("this needs a GPU that evo-kernel knows")
    until = time.monotonic() + 60 * given.minutes
    done = 0
    for row in native_rows.clocked(left, given.jobs, until, LONGEST, command):
        with given.file.open("a") as out:
            out.write(json.dumps(row) + "\n")
        done += "failed" not in row
        said = row.get("failed") or f"{len(rewrites_singles_table.ran(row))} of {len(row['variants'])} programs ran"
        print(f"{row['task']:<22} {said}", flush=True)
    if done < len(left):
        sys.exit(f"{len(left) - done} tasks have no row: call again")


def main() -> None:
    """Run the part asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parts = parser.add_subparsers(required=True)
    one = parts.add_parser("time", help="time programs, on a machine with a GPU")
    one.add_argument("--tasks", default=",".join(names()))
    one.add_argument("--jobs", type=int, default=8, help="tasks side by side; their clocks take turns")
    one.add_argument("--minutes", type=float, default=30.0, help="begin no task after so long")
    one.add_argument("--rows", type=Path, help="of rewrites_search.py: its best programs are bases too")
    one.set_defaults(do=timed)
    two = parts.add_parser("table", help="print the tables")
    two.set_defaults(do=table)
    for part in (one, two):
        part.add_argument("file", type=Path, help="the file of rows, which `time` adds to")
    given = parser.parse_args()
    given.do(given)


if __name__ == "__main__":
    main()
