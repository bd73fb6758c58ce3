"""Compares policies and mechanisms at equal budget on landscapes whose optimum is known.

    python benchmarks/policies.py --seeds 20 --budget 160      made-up landscapes
    python benchmarks/policies.py --knobs                      with knob-step and knob-cross alone
    python benchmarks/policies.py --error                      where error is an objective beside the time
    python benchmarks/policies.py --landscapes DIR --workers 16    measured tables, with the operators as shipped
    python benchmarks/policies.py --json                       the same for machines

Made up, seed n is a landscape of its own, with a search seed of its own; on a table, seed n draws the program to begin
with and is the search's seed. All variants meet the same. A figure is the optimum over the true time of the program
found, with the 95% interval of its mean (bootstrap); the test is a paired one, of random signs of the differences to
`archive`, two-sided: over searches, and on tables also over the tables' means (benchmarks/paired.py).
"""

import argparse
import json
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import paired  # beside this file, as the next two
import replays
import structured

from evo_kernel import landscapes, policies
from evo_kernel.landscapes_bench import THREADS
from evo_kernel.landscapes_judge import Faults
from evo_kernel.rules import Rules

V = TypeVar("V")
TIME = "optimum / time found"
TRADEOFF = "share reached of what is better than the start in log-time and error"
STRENGTHS: dict[str, dict[str, Any]] = {
    # of what is done with new structures, other than as shipped
    "trials of 4": {"trials": 4},
    "trials of 16": {"trials": 16},
    "trials until 2 bring nothing": {"trials": 8, "trial_patience": 2},
    "trials until 3 bring nothing": {"trials": 8, "trial_patience": 3},
    "trials, giving up beyond 1.15": {"trials": 8, "giving_up": 1.15},
    "trials, giving up beyond 1.6": {"trials": 8, "giving_up": 1.6},
}
EARLY = (40, 80)  # evaluations at which figures are given too, on made-up landscapes
COUNTS = (50, 100)  # evaluations at which figures are given too, on measured tables


@dataclass(frozen=True, slots=True)
class Variant:
    """A policy with its mechanisms."""

    policy: str
    rules: Rules


def variants(operators: tuple[str, ...]) -> dict[str, Variant]:
    """Name what is compared: every policy, and the archive with one mechanism the other way round."""
    shipped = Rules(operators=operators)
    found = {name: Variant(name, shipped) for name in policies.NAMES}
    strengths = STRENGTHS if replays.acts("trials", shipped) else {}
    for name, changes in {**replays.turned(shipped), **strengths}.items():
        found[name] = Variant("archive", replace(shipped, **changes))
    return found


def conflicting(operators: tuple[str, ...]) -> dict[str, Variant]:
    """Name what is compared where error is an objective too: how many parents are compromises."""
    both = Rules(operators=operators, objectives=("latency", "error"))
    found = {"archive": Variant("archive", both)}
    found["archive without compromises"] = Variant("archive", replace(both, compromises=0.0))
    for share in (0.15, 0.6):
        found[f"compromises {share:g}"] = Variant("archive", replace(both, compromises=share))
    found["latency alone"] = Variant("archive", Rules(operators=operators))
    return found


def quality(variant: Variant, counts: Sequence[int], noise: float, measure: str, seed: int) -> list[float]:
    """Run one variant on one landscape; return its figure after so many evaluations each, a short run's last again."""
    landscape = structured.Landscape(seed, noise)
    figure = structured.tradeoff if measure == TRADEOFF else structured.quality
    found: list[float] = []
    search = structured.begin(variant.policy, variant.rules, counts[-1], seed)
    for _ in structured.drive(search, landscape):
        if search.evaluations >= counts[len(found)]:
            found.append(figure(search, landscape))
            if len(found) == len(counts):
                break
    return found + [figure(search, landscape)] * (len(counts) - len(found))


def structured_rows(given: argparse.Namespace) -> dict[int, list[dict[str, Any]]]:
    """Compare on made-up landscapes."""
    seeds = range(given.first, given.first + given.seeds)
    operators = ("knob-step", "knob-cross") if given.knobs else (*structured.OPERATORS, "knob-tune")
    compared = chosen((conflicting if given.error else variants)(operators), given)
    measure, counts = (TRADEOFF if given.error else TIME), counted(given.budget, EARLY)
    os.environ.setdefault(THREADS, "1")
    with ProcessPoolExecutor(given.workers) as pool:
        asked = {n: pool.map(partial(quality, v, counts, given.noise, measure), seeds) for n, v in compared.items()}
        found = {n: np.array(list(made)) for n, made in asked.items()}
    return {c: paired.rows({n: v[:, at][None] for n, v in found.items()}, "archive") for at, c in enumerate(counts)}


def counted(budget: int, early: Sequence[int]) -> list[int]:
    """Return after how many evaluations figures are given."""
    return [*(n for n in early if n < budget), budget]


def chosen(compared: Mapping[str, V], given: argparse.Namespace) -> dict[str, V]:
    """Leave out the variants that were not asked for."""
    return {n: v for n, v in compared.items() if not given.variant or n in ("archive", *given.variant)}


def recorded_rows(given: argparse.Namespace) -> dict[int, list[dict[str, Any]]]:
    """Compare on measured tables, one table after another."""
    seeds = range(given.first, given.first + given.seeds)
    asked = replays.Asked(seeds, given.budget, Faults(given.noise, given.failures), given.keep, given.workers)
    tables = [t for t in landscapes.load(given.landscapes) if not given.table or t.name in given.table]
    found = replays.gather(tables, chosen(replays.variants(), given), asked)
    counts = counted(given.budget, COUNTS)
    return {n: paired.rows({k: v[:, :, n - 1] for k, v in found.items()}, "archive") for n in counts}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--budget", type=int, default=160)
    parser.add_argument("--noise", type=float, default=0.02)
    parser.add_argument("--failures", type=float, default=0.0, help="with --landscapes: share made to fail")
    parser.add_argument("--first", type=int, default=100, help="the first landscape, or seed")
    parser.add_argument("--knobs", action="store_true")
    parser.add_argument("--error", action="store_true", help="made up: error is an objective too")
    parser.add_argument("--landscapes", type=Path, metavar="DIR", help="measured tables in place of made-up landscapes")
    parser.add_argument("--table", action="append", help="with --landscapes: this table alone; may be repeated")
    parser.add_argument("--variant", action="append", help="this one beside archive; may be repeated")
    parser.add_argument("--workers", type=int, default=1, help="processes")
    parser.add_argument("--keep", type=Path, help="with --landscapes: a folder for the curves of every variant")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    rows = structured_rows(given) if given.landscapes is None else recorded_rows(given)
    if given.json:
        print(json.dumps({**vars(given), "rows": rows}, indent=2, default=str))
        return
    tables = len(rows[given.budget][0]["by_landscape"])
    where = f"{tables} tables x {given.seeds} seeds" if given.landscapes else f"{given.seeds} made-up landscapes"
    for at, made in rows.items():
        figure = TRADEOFF if given.error else TIME
        print(f"\n{figure} after {at} evaluations, {where}, noise {given.noise:.0%}")
        print(paired.text(made, "archive", tables))


if __name__ == "__main__":
    main()
