"""Intervals and paired tests, as the studies of policies print them."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

DRAWS = 4000  # of the bootstrap and of the signs

Values = NDArray[np.float64]  # one row a landscape, one column a seed


def interval(values: Values, rng: np.random.Generator) -> tuple[float, float]:
    """Return the 95% interval of the mean of the rows' means by bootstrap within each row: the landscapes are given."""
    means = sum(rng.choice(row, (DRAWS, len(row))).mean(axis=1) for row in values) / len(values)
    low, high = np.quantile(means, (0.025, 0.975))
    return float(low), float(high)


def chance(differences: Values, rng: np.random.Generator) -> float:
    """Return the share of random signs of every difference that make their mean as large as it is, two-sided."""
    flat = differences.ravel()
    signs = rng.choice((-1.0, 1.0), (DRAWS, len(flat)))
    larger = np.abs((signs * flat).mean(axis=1)) >= abs(flat.mean()) - 1e-12
    return float((1 + larger.sum()) / (1 + DRAWS))


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
            "p": chance(differences, rng), "values": values.tolist(),
        })  # fmt: skip
    return made


def text(made: list[dict[str, Any]], against: str, tables: int = 1) -> str:
    """Return the rows as a table; with several landscapes, on how many of them a variant is better and worse."""
    width = max(len(row["variant"]) for row in made)
    title = f"{'variant':<{width}}{'mean':>7}  {'95% interval':<16}{'to ' + against:>12}{'p':>9}"
    lines = [title + ("  better, worse" if tables > 1 else "")]
    for row in made:
        shown = "< 0.001" if row["p"] < 0.001 else f"{row['p']:.3f}"
        within = f"[{row['low']:.3f}, {row['high']:.3f}]"
        line = f"{row['variant']:<{width}}{row['mean']:>7.3f}  {within:<16}{row['difference']:>+12.3f}{shown:>9}"
        better = sum(d > 1e-12 for d in row["by_landscape"])
        worse = sum(d < -1e-12 for d in row["by_landscape"])
        lines.append(line + (f"  {better:>6}, {worse:>5}" if tables > 1 else ""))
    return "\n".join(lines)
