"""Whether a structure deserves more of the budget: asked before it is judged, and again while it is tuned."""

from collections.abc import Sequence

import numpy as np

from operators.tune.beliefs import Observation, believe
from operators.tune.pool import pool
from operators.tune.space import Space
from operators.tune.tuner import design, fastest, informed

HOPE = 3.0  # deviations below the mean that a configuration is granted
MARGIN = 1.25  # a structure whose best hope is slower than this many times the run's best is given up
NEAR = 3.0  # a new structure within this factor of the run's best is worth its trial
AFTER_DESIGN = 8  # evaluations the models have chosen before anything is given up
MOST = 24  # evaluations of a trial at most


def budget(space: Space) -> int:
    """Return how many evaluations a new structure gets before it is judged."""
    most = MOST if space.size is None else min(MOST, space.size)
    return min(design(space) + AFTER_DESIGN, most)


def hope(space: Space, observations: Sequence[Observation], rng: np.random.Generator) -> float | None:
    """Return the time that the best configuration may reach, optimistically; None while too little is known."""
    if not informed(space, observations, (), 0):
        return None
    times = [o.time for o in observations if o.time is not None]
    rows = pool(space, fastest(observations, ()), {tuple(o.config) for o in observations}, rng)
    if not len(rows):
        return min(times)
    beliefs = believe(space, observations, (), rows, (), rng)
    lowest = float((beliefs.mean - HOPE * beliefs.deviation).min())
    return min(*times, float(np.exp(beliefs.centre + beliefs.scale * lowest)))


def hopeless(space: Space, observations: Sequence[Observation], best: float, rng: np.random.Generator) -> bool:
    """Tell whether a structure should be given up: after its trial, even its best hope is slower than `best`."""
    if len(observations) < budget(space):
        return False
    if all(o.time is None for o in observations):
        return True
    reachable = hope(space, observations, rng)
    return reachable is not None and reachable > MARGIN * best


def promising(space: Space, observations: Sequence[Observation], best: float) -> bool:
    """Tell whether a new structure should be tuned further before it is judged: it works, is near, and is young."""
    times = [o.time for o in observations if o.time is not None]
    return bool(times) and min(times) <= NEAR * best and len(observations) < budget(space)
