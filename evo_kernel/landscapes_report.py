"""Compares a policy with Kernel Tuner's strategies over landscapes: means and intervals, as text and JSON."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from evo_kernel.landscapes import COUNTS, Landscape, Peer

DRAWS = 2000  # bootstrap resamples of the seeds
MEAN = "mean"


@dataclass(frozen=True, slots=True)
class Figures:
    """One policy on one landscape: a curve of optimum over best so far for every seed."""

    landscape: Landscape
    curves: tuple[tuple[float, ...], ...]

    def at(self, count: str) -> list[float]:
        """Return every seed's figure after so many evaluations; one that ended earlier keeps its last."""
        return [curve[min(int(count), len(curve)) - 1] for curve in self.curves]


def interval(values: Sequence[Sequence[float]]) -> tuple[float, float]:
    """Return the 95% interval of a mean of groups' means, by resampling within each group: the tables are given."""
    rng = np.random.default_rng(0)
    means = np.zeros(DRAWS)
    for group in values:
        drawn = rng.integers(len(group), size=(DRAWS, len(group)))
        means += np.array(group)[drawn].mean(1) / len(values)
    low, high = np.quantile(means, (0.025, 0.975))
    return float(low), float(high)


def summary(
    policy: str, evaluations: int, found: Sequence[Figures], peers: Mapping[tuple[str, str], list[Peer]],
    live: Sequence[str] = (),
) -> dict[str, Any]:  # fmt: skip
    """Return everything as plain data: figures under each table's name and under `mean`.

    `live` names the strategies of Kernel Tuner that were run here; the others' figures were read.
    """
    tables: dict[str, Any] = {}
    for one in found:
        known = peers.get((one.landscape.kernel, one.landscape.gpu), [])
        tables[one.landscape.name] = {
            **{n: statistics.fmean(one.at(n)) for n in COUNTS},
            "intervals": {n: interval([one.at(n)]) for n in COUNTS},
            "searches": {n: one.at(n) for n in COUNTS},
            "kernel_tuner": {p.strategy: p.fractions for p in known},
        }
    every = {n: [one.at(n) for one in found] for n in COUNTS}
    mean = {
        **{n: statistics.fmean(statistics.fmean(group) for group in every[n]) for n in COUNTS},
        "intervals": {n: interval(every[n]) for n in COUNTS},
        "kernel_tuner": _peer_means([tables[one.landscape.name]["kernel_tuner"] for one in found]),
    }
    about = {
        "policy": policy, "seeds": len(found[0].curves), "evaluations": evaluations, "kernel_tuner_live": list(live),
    }  # fmt: skip
    return {**about, **tables, MEAN: mean}


def _peer_means(tables: Sequence[Mapping[str, Mapping[str, float]]]) -> dict[str, dict[str, float]]:
    """Return the means of the strategies that were run on every table."""
    shared = [s for s in tables[0] if all(s in t and set(COUNTS) <= set(t[s]) for t in tables)]
    return {s: {n: statistics.fmean(t[s][n] for t in tables) for n in COUNTS} for s in shared}


def text(document: Mapping[str, Any]) -> str:
    """Return one table of all figures with their 95% intervals and, beside them, the best of Kernel Tuner."""
    names = [n for n, part in document.items() if isinstance(part, dict)]
    width = max(map(len, names))
    lines = [
        f"optimum / best so far, policy {document['policy']}, {document['seeds']} seeds, 95% intervals; times recorded",
        f"{'':{width}}" + "".join(f"{'@' + n:>22}" for n in COUNTS),
    ]
    for name in names:
        part = document[name]
        cells = [f"{part[n]:.3f} [{part['intervals'][n][0]:.3f} {part['intervals'][n][1]:.3f}]" for n in COUNTS]
        lines.append(f"{name:{width}}" + "".join(f"{cell:>22}" for cell in cells))
        if part["kernel_tuner"]:
            known = [[(f[n], s) for s, f in part["kernel_tuner"].items() if n in f] for n in COUNTS]
            cells = [f"{max(some)[1][:14]} {max(some)[0]:.3f}" if some else "unknown" for some in known]
            lines.append(f"{'  Kernel Tuner':{width}}" + "".join(f"{cell:>22}" for cell in cells))
    live = document["kernel_tuner_live"]
    source = f"; run here: {', '.join(live)}" if live else ""
    lines.append(
        f"Kernel Tuner: the best of its strategies for each table and count, from the file beside them{source}"
    )
    if document["evaluations"] < int(COUNTS[-1]):
        lines.append(f"searches had {document['evaluations']} evaluations: columns of more show what these found")
    return "\n".join(lines)
