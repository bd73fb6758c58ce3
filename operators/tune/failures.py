"""What failures teach: where programs fail, or no more than how often.

A configuration may fail because of what it is, and then those like it fail too; or by accident, and then they do not.
Several explanations are weighed by how well each foretold every outcome from those before it: accident, which knows
only the share of all that worked; likeness, which asks the neighbourhood; and for each parameter, its value alone.
Before anything was seen accident has half of the weight. Outcomes are foretold in their order because that is fair:
where accident is the truth, the others' weight ever exceeds nine tenths in at most one search of nine.
"""

import numpy as np
from numpy.typing import NDArray

from operators.tune.features import Floats, Singles
from operators.tune.space import Rows

CAUTION = 1.0  # observations that the share of all counts for in an explanation: one
SURE = 0.9  # probability that failures have a place from which on they are taken to have one

Flags = NDArray[np.bool_]


def chances(seen: Rows, asked: Rows, between: Floats, near: Singles, failed: Flags) -> tuple[Floats, bool]:
    """Return each asked row's chance to work, and whether failures have a place; until that is sure all are equal.

    `between` tells how near observations are to each other, `near` how near asked rows are to observations; both are
    in the order of observation.
    """
    share = float((~failed).mean())
    if not failed.any() or failed.all():
        return np.full(len(asked), share), False
    number = np.arange(len(failed))
    before = number < number[:, None]
    usual = (_before(~failed) + 1) / (number + 2)  # share of those before; never quite 0 or 1
    told = [usual, _worked(*_around(np.tril(between, -1), failed), usual)]
    here = [np.full(len(asked), share), _worked(*_around(near, failed), share)]
    for place in range(seen.shape[1]):
        values, wanted = seen[:, place], asked[:, place]
        alike = before & (values[:, None] == values)
        told.append(_worked(_sum(alike, ~failed), _sum(alike, failed), usual))
        top = int(max(values.max(), wanted.max())) + 1
        good, bad = (np.bincount(values[flags], minlength=top)[wanted].astype(float) for flags in (~failed, failed))
        here.append(_worked(good, bad, share))
    weights = _weights([float(np.log(np.where(failed, 1 - worked, worked)).sum()) for worked in told])
    placed = bool(1 - weights[0] > SURE)
    return weights @ np.stack(here) if placed else here[0], placed


def _before(flags: Flags) -> Floats:
    """Return how many flags stand before each."""
    return np.concatenate([[0.0], np.cumsum(flags[:-1])])


def _sum(alike: Flags, flags: Flags) -> Floats:
    """Return how many of those alike are flagged, for each row."""
    return np.asarray(np.count_nonzero(alike[:, flags], axis=1), dtype=float)


def _around(near: Floats | Singles, failed: Flags) -> tuple[Floats, Floats]:
    """Return how much worked and how much failed near each row."""
    return near[:, ~failed].sum(1).astype(float), near[:, failed].sum(1).astype(float)


def _worked(good: Floats, bad: Floats, usual: Floats | float) -> Floats:
    """Return the share of what worked, drawn towards the usual one where little is known."""
    shares: Floats = (good + CAUTION * usual) / (good + bad + CAUTION)
    return shares


def _weights(likelihoods: list[float]) -> Floats:
    """Return the probability of each explanation; the first had half of it before, the others shared the rest."""
    before = np.log([0.5, *[0.5 / (len(likelihoods) - 1)] * (len(likelihoods) - 1)])
    logs = np.array(likelihoods) + before
    weights = np.exp(logs - logs.max())
    probable: Floats = weights / weights.sum()
    return probable
