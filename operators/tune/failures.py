"""What failures teach: where programs fail, or no more than how often.

A configuration may fail because of what it is, and then those like it fail too; or by accident, and then they do not.
Several explanations are weighed by how well each foretells every outcome from the others: accident, which knows only
the share of all that worked; likeness, which asks the neighbourhood; and for each parameter, its value alone. Before
anything was seen accident has half of the weight, so failures need a pattern before what lies beside them is avoided.
"""

import numpy as np
from numpy.typing import NDArray

from operators.tune.features import Floats
from operators.tune.space import Rows

CAUTION = 1.0  # observations that the share of all counts for in an explanation

Flags = NDArray[np.bool_]
Near = NDArray[np.float32]


def chances(seen: Rows, asked: Rows, between: Near, near: Near, failed: Flags) -> tuple[Floats, float]:
    """Return each asked row's chance to work, and how probable it is that failures have a place.

    `between` tells how near observations are to each other, `near` how near asked rows are to observations.
    """
    share = float((~failed).mean())
    if not failed.any() or failed.all():
        return np.full(len(asked), share), 0.0
    usual = ((~failed).sum() - ~failed + 1) / (len(failed) + 1)  # of the others; never quite 0 or 1
    told = [usual, _worked(*_around(between - np.diag(between.diagonal()), failed), usual)]
    here = [np.full(len(asked), share), _worked(*_around(near, failed), share)]
    for place in range(seen.shape[1]):
        top = int(max(seen[:, place].max(), asked[:, place].max())) + 1
        good, bad = (np.bincount(seen[f, place], minlength=top).astype(float) for f in (~failed, failed))
        values, wanted = seen[:, place], asked[:, place]
        told.append(_worked(good[values] - ~failed, bad[values] - failed.astype(int), usual))
        here.append(_worked(good[wanted], bad[wanted], share))
    weights = _weights([float(np.log(np.where(failed, 1 - worked, worked)).sum()) for worked in told])
    return weights @ np.stack(here), float(1 - weights[0])


def _around(near: Near, failed: Flags) -> tuple[Floats, Floats]:
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
