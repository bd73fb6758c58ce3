"""Whether the tuner's constants are fitted to the tables that it was made with: each constant left out in turn.

    python benchmarks/tuner_constants.py TABLES --seeds 10 --workers 14 --json constants.json
    python benchmarks/tuner_constants.py TABLES --seeds 2 --evaluations 30 --constant SPREAD    a small one

The constants of GRID, and with --failures those of FAULTY, are set to a smaller and a larger value, the others as
shipped; each variant searches every table with every seed. Not in it, and so not shown to be unfitted, are: how often
and how fast the process's shape is fitted (FITTED, FITTED_EARLY, YOUNG, RATE) and its prior of noise (NOISE_SPREAD),
the sizes that matter (DIVISORS), how many configurations are spread out first (`design`), what concerns relatives, of
which a table has none (RELATIVES, DOUBT), and what is no number: the even halves of the kernel and of the two models.

For each constant and each table, GPU and kernel the value is chosen that is best on the other ones, and tried on what
was left out. A shipped value that was fitted to the tables would lose this comparison, because it was chosen with what
is left out in view: so `shipped - chosen` would be above zero. Its 95% interval is of the mean over all that was left
out, by bootstrap over seeds (the choice is made anew in each resample).
"""

import argparse
import json
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import constants  # beside this file
import numpy as np
import replays
from numpy.typing import NDArray

from evo_kernel import landscapes
from evo_kernel.landscapes import Landscape
from evo_kernel.landscapes_bench import THREADS
from evo_kernel.landscapes_judge import Faults

TUNE = "operators.tune"
GRID: Mapping[str, tuple[tuple[str, ...], tuple[Any, ...]]] = {
    # name -> (where it stands, (smaller, shipped, larger))
    "SPREAD": ((f"{TUNE}.tuner.SPREAD",), (4, 8, 16)),
    "STALE": ((f"{TUNE}.tuner.STALE",), (15, 30, 60)),
    "WIDENED": ((f"{TUNE}.tuner.WIDENED",), (1.0, 1.25, 1.5)),
    "CUT": ((f"{TUNE}.beliefs.CUT",), (0.5, 1.0, 2.0)),
    "REPEATED": ((f"{TUNE}.features.REPEATED",), (1, 3, 6)),
    "TREES": ((f"{TUNE}.forest.TREES",), (8, 16, 32)),
    "SPLITS": ((f"{TUNE}.forest.SPLITS",), (3, 6, 12)),
    "DEPTH": ((f"{TUNE}.forest.DEPTH",), (6, 10, 14)),
    "STEPS": ((f"{TUNE}.gaussian.STEPS",), (5, 10, 20)),
    "SCALE": ((f"{TUNE}.gaussian.SCALE",), (0.35, 0.7, 1.4)),
    "SCALES' SPREAD": ((f"{TUNE}.gaussian.SPREAD",), (0.5, 1.0, 2.0)),
    "NOISE": ((f"{TUNE}.gaussian.NOISE",), (1e-4, 1e-3, 1e-2)),
    "POINTS": ((f"{TUNE}.gaussian.POINTS",), (32, 64, 128)),
    "SIZE": ((f"{TUNE}.pool.SIZE",), (350, 700, 1400)),
    "CENTRES": ((f"{TUNE}.pool.CENTRES", f"{TUNE}.tuner.CENTRES"), (2, 5, 10)),
    "DISTANT": ((f"{TUNE}.pool.DISTANT",), (150, 300, 600)),
}
FAULTY: Mapping[str, tuple[tuple[str, ...], tuple[Any, ...]]] = {
    # these matter where evaluations fail
    "CHANCE": ((f"{TUNE}.beliefs.CHANCE",), (0.03, 0.1, 0.3)),
    "CAUTION": ((f"{TUNE}.failures.CAUTION",), (0.5, 1.0, 2.0)),
    "SURE": ((f"{TUNE}.failures.SURE",), (0.8, 0.9, 0.95)),
}
SHIPPED = 1  # place among a constant's values
COUNTS = (20, 50, 100, 200)  # the score of a search is the mean of its figures at those within the budget
DRAWS = 1000

Scores = NDArray[np.float64]  # values of a constant x tables x seeds


def score(table: Landscape, values: constants.Values, seed: int, evaluations: int, faults: Faults) -> float:
    """Search one table with one variant."""
    with constants.changed(values):
        curve = replays.curve(table, replays.Variant("tuner"), seed, evaluations, faults)
    return float(np.mean([curve[n - 1] for n in {min(n, evaluations) for n in COUNTS}]))


def gather(given: argparse.Namespace, tables: Sequence[Landscape]) -> dict[str, Scores]:
    """Search everything; the variant as shipped once, for all constants."""
    faults = Faults(given.noise, given.failures)
    grid = {**GRID, **(FAULTY if given.failures else {})}
    chosen = {n: grid[n] for n in given.constant or grid}
    seeds = range(given.first, given.first + given.seeds)
    os.environ.setdefault(THREADS, "1")
    with ProcessPoolExecutor(given.workers) as pool:

        def ask(values: constants.Values) -> list[list[Any]]:
            return [[pool.submit(score, t, values, s, given.evaluations, faults) for s in seeds] for t in tables]

        shipped = ask({})
        asked = {}
        for name, (places, (low, _, high)) in chosen.items():
            asked[name] = [ask(dict.fromkeys(places, low)), shipped, ask(dict.fromkeys(places, high))]
        return {
            name: np.array([[[f.result() for f in row] for row in one] for one in three])
            for name, three in asked.items()
        }


def left_out(scores: Scores, groups: Sequence[Sequence[int]]) -> tuple[float, list[int]]:
    """Return by how much the shipped value is better than those chosen without each group, and these values' places."""
    means = scores.mean(axis=2)
    gains, chosen = [], []
    for group in groups:
        others = [t for t in range(means.shape[1]) if t not in group]
        best = int(means[:, others].mean(axis=1).argmax())
        chosen.append(best)
        gains.append(float((means[SHIPPED, list(group)] - means[best, list(group)]).mean()))
    return float(np.mean(gains)), chosen


def spread(scores: Scores, groups: Sequence[Sequence[int]]) -> tuple[float, float]:
    """Return the 95% interval of the same over resampled seeds."""
    rng = np.random.default_rng(0)
    drawn = rng.integers(scores.shape[2], size=(DRAWS, scores.shape[2]))
    low, high = np.quantile([left_out(scores[:, :, one], groups)[0] for one in drawn], (0.025, 0.975))
    return float(low), float(high)


def groupings(tables: Sequence[Landscape]) -> dict[str, list[list[int]]]:
    """Return what is left out at a time: each table, each GPU's, each kernel's."""
    every = {
        "table": [t.name for t in tables],
        "GPU": [t.gpu for t in tables],
        "kernel": [t.kernel for t in tables],
    }
    made = {}
    for name, keys in every.items():
        if len(set(keys)) > 1:
            made[name] = [[at for at, key in enumerate(keys) if key == one] for one in sorted(set(keys))]
    return made


def study(found: Mapping[str, Scores], tables: Sequence[Landscape]) -> dict[str, Any]:
    """Return for every constant its scores by table, and what leaving out says."""
    out: dict[str, Any] = {}
    for name, scores in found.items():
        values = {**GRID, **FAULTY}[name][1]
        parts = {}
        for what, groups in groupings(tables).items():
            gain, chosen = left_out(scores, groups)
            parts[what] = {"shipped - chosen": gain, "interval": spread(scores, groups),
                           "chosen": [values[c] for c in chosen]}  # fmt: skip
        by_table = {t.name: scores[:, at].mean(axis=1).tolist() for at, t in enumerate(tables)}
        out[name] = {"values": values, "mean": scores.mean(axis=(1, 2)).tolist(), "by_table": by_table,
                     "left_out": parts, "scores": scores.tolist()}  # fmt: skip
    return out


def text(made: Mapping[str, Any]) -> str:
    """Return one line a constant."""
    lines = []
    for name, one in made.items():
        values = "  ".join(f"{v:g}: {m:.4f}" for v, m in zip(one["values"], one["mean"], strict=True))
        lines.append(f"{name:15} {values}")
        for what, part in one["left_out"].items():
            low, high = part["interval"]
            chosen = ", ".join(f"{v:g}" for v in part["chosen"])
            verdict = "  FITTED" if low > 0 else ""
            lines.append(
                f"    each {what:6} left out: shipped - chosen {part['shipped - chosen']:+.4f} "
                f"[{low:+.4f}, {high:+.4f}]  chosen: {chosen}{verdict}"
            )
    return "\n".join(lines)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, metavar="TABLES")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--first", type=int, default=5000, help="the first seed")
    parser.add_argument("--evaluations", type=int, default=100)
    parser.add_argument("--constant", action="append", choices=[*GRID, *FAULTY], help="this one; may be repeated")
    parser.add_argument("--noise", type=float, default=0.0)
    parser.add_argument("--failures", type=float, default=0.0)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--json", type=Path, help="write everything, each search's score too, into this file")
    given = parser.parse_args()
    tables = landscapes.load(given.folder)
    made = study(gather(given, tables), tables)
    if given.json:
        given.json.write_text(json.dumps(made))
    print(f"score: mean of optimum / best so far at {COUNTS} within {given.evaluations} evaluations;")
    faults = f"noise {given.noise:g}, failures {given.failures:g}"
    print(f"{len(tables)} tables x {given.seeds} seeds from {given.first}, {faults}")
    print(text(made))


if __name__ == "__main__":
    main()
