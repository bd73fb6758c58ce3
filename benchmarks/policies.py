"""Compares policies and mechanisms at equal budget on made-up landscapes whose optimum is known.

    python benchmarks/policies.py --seeds 20 --budget 160      prints the tables
    python benchmarks/policies.py --knobs                      with knob-step and knob-cross alone
    python benchmarks/policies.py --json                       the same for machines

Seed n is a landscape of its own, with a search seed of its own: all variants meet the same. A figure is the optimum
over the true time of the program found, with the 95% interval of its mean (bootstrap); the test is a paired one, of
random signs of the differences to `archive`, two-sided.
"""

import argparse
import json
from dataclasses import replace

import numpy as np
import structured
from numpy.typing import NDArray

from evo_kernel import policies
from evo_kernel.rules import MECHANISMS, Rules

DRAWS = 4000  # of the bootstrap and of the signs


def variants(operators: tuple[str, ...]) -> dict[str, tuple[str, Rules]]:
    """Name what is compared: every policy, and the archive with one mechanism the other way round."""
    shipped = Rules(operators=operators)
    found = {name: (name, shipped) for name in policies.NAMES}
    for name, (setting, off, on) in MECHANISMS.items():
        standing = getattr(shipped, setting)
        other = off if standing else on
        if name != "tuner" or "knob-tune" in operators:
            how = "without" if standing else "with"
            found[f"archive {how} {name}"] = ("archive", replace(shipped, **{setting: other}))
    return found


def qualities(policy: str, rules: Rules, seeds: range, budget: int, noise: float) -> NDArray[np.float64]:
    """Run one variant on every landscape."""
    found = []
    for seed in seeds:
        landscape = structured.Landscape(seed, noise)
        search = structured.begin(policy, rules, budget, seed)
        for _ in structured.drive(search, landscape):
            pass
        found.append(structured.quality(search, landscape))
    return np.array(found)


def interval(values: NDArray[np.float64], rng: np.random.Generator) -> tuple[float, float]:
    """Return the 95% interval of a mean by bootstrap."""
    means = rng.choice(values, (DRAWS, len(values))).mean(axis=1)
    low, high = np.quantile(means, (0.025, 0.975))
    return float(low), float(high)


def chance(differences: NDArray[np.float64], rng: np.random.Generator) -> float:
    """Return the share of random signs that make the mean difference as large as it is."""
    signs = rng.choice((-1.0, 1.0), (DRAWS, len(differences)))
    larger = np.abs((signs * differences).mean(axis=1)) >= abs(differences.mean()) - 1e-12
    return float((1 + larger.sum()) / (1 + DRAWS))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--budget", type=int, default=160)
    parser.add_argument("--noise", type=float, default=0.02)
    parser.add_argument("--first", type=int, default=100, help="the first landscape")
    parser.add_argument("--knobs", action="store_true")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    rng = np.random.default_rng(0)
    seeds = range(given.first, given.first + given.seeds)
    compared = variants(("knob-step", "knob-cross") if given.knobs else (*structured.OPERATORS, "knob-tune"))
    found = {n: qualities(p, r, seeds, given.budget, given.noise) for n, (p, r) in compared.items()}
    rows = []
    for name, values in found.items():
        differences = values - found["archive"]
        low, high = interval(values, rng)
        rows.append({
            "variant": name, "mean": float(values.mean()), "low": low, "high": high,
            "difference": float(differences.mean()), "p": chance(differences, rng), "values": values.tolist(),
        })  # fmt: skip
    if given.json:
        print(json.dumps({**vars(given), "rows": rows}, indent=2))
        return
    print(f"optimum / time found after {given.budget} evaluations, {given.seeds} landscapes, noise {given.noise:.0%}")
    print(f"{'variant':<30}{'mean':>7}  {'95% interval':<16}{'to archive':>11}{'p':>8}")
    for row in rows:
        shown = "< 0.001" if row["p"] < 0.001 else f"{row['p']:.3f}"
        within = f"[{row['low']:.3f}, {row['high']:.3f}]"
        print(f"{row['variant']:<30}{row['mean']:>7.3f}  {within:<16}{row['difference']:>+11.3f}{shown:>8}")


if __name__ == "__main__":
    main()
