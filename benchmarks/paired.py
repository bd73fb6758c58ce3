"""Intervals and paired tests, as the studies of policies print them.

There are two questions, with a p each. Of searches: would a difference as large come about on these very landscapes by
the draw of seeds? Of landscapes: would it on others like them? The second flips the sign of a landscape's whole mean,
so with six of them it is never below 0.031; where each search has a landscape of its own both are one.
"""

from collections.abc import Mapping
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

DRAWS = 4000  # of the bootstrap and of the signs
EXACT = 12  # as many signs are all tried

Values = NDArray[np.float64]  # one row a landscape, one column a seed


def interval(values: Values, rng: np.random.Generator) -> tuple[float, float]:
    """Return the 95% interval of the mean of the rows' means by bootstrap within each row: the landscapes are given."""
    means = sum(rng.choice(row, (DRAWS, len(row))).mean(axis=1) for row in values) / len(values)
    low, high = np.quantile(means, (0.025, 0.975))
    return float(low), float(high)


def chance(differences: Values, rng: np.random.Generator) -> float:
    """Return the share of random signs of every difference that make their mean as large as it is, two-sided.

    Where one is no number there is no test: 1 is returned.
    """
    flat = differences.ravel()
    if not np.isfinite(flat).all():
        return 1.0
    if len(flat) <= EXACT:
        signs, drawn = np.array(list(product((-1.0, 1.0), repeat=len(flat)))), 0
    else:
        signs, drawn = rng.choice((-1.0, 1.0), (DRAWS, len(flat))), 1  # the signs that are given are one draw more
    larger = np.abs((signs * flat).mean(axis=1)) >= abs(flat.mean()) - 1e-12
    return float((drawn + larger.sum()) / (drawn + len(signs)))


def rows(found: Mapping[str, Values], against: str) -> list[dict[str, Any]]:
    """Compare every variant with one of them, pair by pair: same landscape, same seed."""
    rng = np.random.default_rng(0)
    made = []
    for name, values in found.items():
        differences = values - found[against]
        low, high = interval(values, rng)
        made.append({
            "variant": name, "mean": float(values.mean()), "low": low, "high": high,
            "difference": float(differences.mean()), "by_landscape": differences.mean(axis=1).tolist(),
            "p": chance(differences, rng), "p_landscapes": chance(differences.mean(axis=1), rng),
            "values": values.tolist(),
        })  # fmt: skip
    return made


def text(made: list[dict[str, Any]], against: str, tables: int = 1) -> str:
    """Return the rows as a table; with several landscapes, on how many of them a variant is better and worse."""
    width = max(len(row["variant"]) for row in made)
    title = f"{'variant':<{width}}{'mean':>7}  {'95% interval':<16}{'to ' + against:>12}"
    lines = [title + (f"{'p searches':>12}{'p tables':>10}  better, worse" if tables > 1 else f"{'p':>9}")]
    for row in made:
        within = f"[{row['low']:.3f}, {row['high']:.3f}]"
        line = f"{row['variant']:<{width}}{row['mean']:>7.3f}  {within:<16}{row['difference']:>+12.3f}"
        better = sum(d > 1e-12 for d in row["by_landscape"])
        worse = sum(d < -1e-12 for d in row["by_landscape"])
        several = f"{_shown(row['p']):>12}{_shown(row['p_landscapes']):>10}  {better:>6}, {worse:>5}"
        lines.append(line + (several if tables > 1 else f"{_shown(row['p']):>9}"))
    return "\n".join(lines)


def _shown(p: float) -> str:
    return "< 0.001" if p < 0.001 else f"{p:.3f}"
