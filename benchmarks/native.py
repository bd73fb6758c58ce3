"""Native tasks on this machine's GPU: every knob setting measured once, then searches replayed on what was measured.

    python benchmarks/native.py count                                    how many settings each task has
    python benchmarks/native.py table --seconds 240 --json native.json   on a machine with a GPU
    python benchmarks/native.py replay native.json --seeds 20            anywhere
    python benchmarks/native.py unpack native.json DIR                   tables for `evo-kernel bench landscapes DIR`

Judging 160 programs for every policy, task and seed would take days of a GPU. Without models a search of a native task
moves among the knob settings of its seed, so measuring each once is enough to replay any number of searches. `table`
keeps the ratio to the seed timed beside it, screened and not confirmed; which settings it leaves out
benchmarks/native_space.py says. A replay begins with the seed. A figure is the best time in the table over the time of
what was found; `without tuner` is the same policy with nothing but steps and crossings.
"""

import argparse
import gzip
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import native_space  # beside this file

from suites import load, names

if TYPE_CHECKING:
    from evo_kernel.landscapes import Landscape
    from operators.tune.space import Config

TASKS = "softmax,transpose,rms_norm,layer_norm,gemm_fp16"
BUDGET = 160
COUNTS = (10, 20, 40, 80, 160)
POLICIES = ("archive", "restarts", "best-of-n", "sequential", "islands")


def count(given: argparse.Namespace) -> None:
    """Print how many settings tasks have."""
    print(f"{'task':<12}{'legal':>7}{'listed':>8}")
    for name in names():
        one = native_space.settings(load(name), given.backend)
        print(f"{name:<12}{one.legal:>7,}{one.space.size:>8,}")


def table(given: argparse.Namespace) -> None:
    """Measure."""
    import native_table

    chosen = [native_space.settings(load(name), "cuda") for name in given.tasks.split(",")]
    native_table.measure(chosen, given.most, given.seconds, given.json, given.builders)


def unpack(documents: list[dict[str, Any]], folder: Path) -> "tuple[list[Landscape], dict[str, Config]]":
    """Write each table as `bench landscapes` reads them; return them, and where each task's seed stands."""
    from evo_kernel import landscapes

    folder.mkdir(parents=True, exist_ok=True)
    starts = {}
    for plain in (t for document in documents for t in document["tables"]):
        name = f"{plain['kernel']}_{plain['gpu'].replace(' ', '-')}"
        with gzip.open(folder / f"{name}{landscapes.SUFFIX}", "wt", encoding="utf-8") as opened:
            json.dump(plain, opened)
        starts[name] = tuple(
            sorted(values).index(v) for v, values in zip(plain["seed"], plain["params"].values(), strict=True)
        )
    return landscapes.load(folder), starts


def read(file: Path) -> dict[str, Any]:
    """Read what `table` wrote."""
    try:
        document = json.loads(file.read_text())
        if document["format"] != 1:
            sys.exit(f"{file} has format {document['format']}, expected 1")
        whole = [t for t in document["tables"] if t["seed_us"]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        sys.exit(f"{file} is no file that `table` wrote: {error!r}")
    for cut in (t["kernel"] for t in document["tables"] if t not in whole):
        print(f"{file}: {cut} is left out, its seed was not measured", file=sys.stderr)
    if not whole:
        sys.exit(f"{file} cannot be replayed: it holds no table with the seed's time")
    return {**document, "tables": whole}


def replay(given: argparse.Namespace) -> None:
    """Run every policy on every table with every seed, and print what they reach."""
    import paired
    import replays

    from evo_kernel.landscapes_judge import Faults

    documents = [read(file) for file in given.files]
    with tempfile.TemporaryDirectory() as scratch:
        tables, starts = unpack(documents, Path(scratch))
    compared = {name: replays.Variant(name) for name in POLICIES}
    for name in ("archive", "islands"):
        compared[f"{name} without tuner"] = replays.Variant(name, {"tuner": 0.0})
    compared["archive with trials"] = replays.Variant("archive", {"trials": replays.TRIALS})
    compared["archive with fallback"] = replays.Variant("archive", {"fallback": True})
    compared["archive without tuner, with fallback"] = replays.Variant("archive", {"tuner": 0.0, "fallback": True})
    compared["tuner alone"] = replays.Variant("archive", {"tuner": 1.0, "crossover": 0.0})
    print("\n".join(map(described, documents)))
    asked = replays.Asked(range(given.seeds), given.budget, Faults(given.noise), given.keep, given.workers)
    found = replays.gather(tables, compared, asked, starts)
    results = {}
    for at in [n for n in COUNTS if n < given.budget] + [given.budget]:
        results[at] = paired.rows({name: curves[:, :, at - 1] for name, curves in found.items()}, "archive")
        print(f"\nbest of the table / time found after {at} evaluations, {len(tables)} tasks x {given.seeds} seeds")
        print(paired.text(results[at], "archive", len(tables)))
    print(f"\nby task after {given.budget}:")
    for number, one in enumerate(tables):
        cells = "  ".join(f"{row['variant']} {sum(row['values'][number]) / given.seeds:.3f}" for row in results[at])
        print(f"  {one.kernel:<12} {cells}")
    if given.json:
        given.json.write_text(json.dumps({"of": [d["date"] for d in documents], "rows": results}))


def described(document: dict[str, Any]) -> str:
    """Say what the tables are."""
    versions = ", ".join(f"{name} {number}" for name, number in document["versions"].items())
    lines = [f"{document['device']}, {document['date']}, {versions}"]
    for plain in document["tables"]:
        failed = sum(kind is not None for kind in plain["failures"])
        best = min(r for r in plain["ratio_to_seed"] if r is not None)
        ran = [p for p in plain["programs"] if p]
        lines.append(
            f"  {plain['kernel']:<12} {len(plain['configs']):>4} of {plain['listed']} settings measured "
            f"({plain['legal']:,} legal), {failed} failed, {plain['lost']} lost, {len(set(ran))} distinct programs; "
            f"seed {plain['seed_us']:.2f} us, best {best:.3f} of it"
        )
    return "\n".join(lines)


def main() -> None:
    """Do what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parts = parser.add_subparsers(required=True)
    one = parts.add_parser("count", help="how many settings each task has")
    one.add_argument("--backend", default="cuda", choices=("cuda", "hip"))
    one.set_defaults(do=count)
    one = parts.add_parser("table", help="measure on this machine's GPU")
    one.add_argument("--tasks", default=TASKS)
    one.add_argument("--most", type=int, default=400, help="settings of each task")
    one.add_argument("--seconds", type=float, default=240.0, help="in all; the last programs may take 20 more")
    one.add_argument("--builders", type=int, default=max(1, (os.cpu_count() or 2) - 4))
    one.add_argument("--json", type=Path, default=Path("native.json"))
    one.set_defaults(do=table)
    one = parts.add_parser("replay", help="search on what was measured")
    one.add_argument("files", type=Path, nargs="+")
    one.add_argument("--seeds", type=int, default=20)
    one.add_argument("--budget", type=int, default=BUDGET)
    one.add_argument("--noise", type=float, default=0.0, help="standard deviation of a time, relative")
    one.add_argument("--keep", type=Path, help="a folder for the curves of every variant, which are not made again")
    one.add_argument("--workers", type=int, default=1, help="processes")
    one.add_argument("--json", type=Path)
    one.set_defaults(do=replay)
    one = parts.add_parser("unpack", help="write tables for bench landscapes")
    one.add_argument("file", type=Path)
    one.add_argument("folder", type=Path)
    one.set_defaults(
        do=lambda given: print(f"{len(unpack([read(given.file)], given.folder)[0])} tables in {given.folder}")
    )
    given = parser.parse_args()
    given.do(given)


if __name__ == "__main__":  # builders import this file again
    main()
