"""Whether a structure deserves more of the budget: asked before it is judged, and again while it is tuned.

`promising` needs no more than times, so the search asks it at every verdict. `hopeless` asks the models what the best
configuration may still reach; the tuner asks it before it proposes, and gives a structure up by refusing. The figures
of a trial were chosen on the landscapes 1000 to 1015 of benchmarks/structured.py; benchmarks/policies.py tries others,
no trial and no giving up, on other landscapes.
"""

from collections.abc import Sequence

import numpy as np

from operators.tune.beliefs import Observation, believe
from operators.tune.pool import pool
from operators.tune.space import Space
from operators.tune.tuner import design, fastest, informed

HOPE = 3.0  # deviations below the mean that a configuration is granted: one in a thousand does better
MARGIN = 1.25  # a structure whose best hope is slower than this many times the run's best is given up
TRIAL = 8  # evaluations that a new structure gets before it is judged: about one a knob
NEAR = 1.3  # a new structure within this factor of the run's best is worth its trial, or the rest of it
AFTER_DESIGN = 8  # evaluations the models have chosen before anything is given up
MOST = 24  # evaluations at most after which it may be, however many knobs there are


def budget(space: Space) -> int:
    """Return after how many evaluations a structure may be given up by what the models say of it."""
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
    """Tell whether a structure should be given up: even its best hope is slower than `best`, the run's."""
    if len(observations) < budget(space):
        return False
    times = [o.time for o in observations if o.time is not None]
    if not times:
        return True
    if min(times) <= MARGIN * best:
        return False
    reachable = hope(space, observations, rng)
    return reachable is not None and reachable > MARGIN * best


def promising(fastest: float, tried: int, best: float | None) -> bool:
    """Tell whether a new structure should be tuned further before it is judged: it is young, and near the run's best.

    `fastest` is its best time so far (infinite while nothing passed), `tried` how many of its programs were judged.
    """
    return tried < TRIAL and fastest < float("inf") and (best is None or fastest <= NEAR * best)
