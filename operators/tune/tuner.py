"""Proposes configurations of one space from everything observed there; a pure function, with no state to save.

Two models that fail in different places share the work: a Gaussian process, which is smooth, and randomised trees,
which see steps. Where they disagree the mixture is unsure, and that draws proposals there as much as a low mean does.

A worked trace: with nothing observed, `propose` gives a configuration apart from all others. After `design` of these
the models choose: each time the configuration with the largest expected gain, times the chance that it works,
among the neighbours of the fastest five and some hundreds from everywhere.
"""

from collections.abc import Sequence

import numpy as np

from operators.tune.beliefs import Beliefs, Observation, believe
from operators.tune.features import Floats, plain
from operators.tune.pool import CENTRES, pool
from operators.tune.space import Config, Rows, Space

# Reasons stand beside constants; benchmarks/tuner_constants.py tries a smaller and a larger value of each on measured
# tables, and what would have been chosen without each table, GPU and kernel.
SPREAD = 8  # configurations from which the one farthest from all others is taken: of many it would be a corner
STALE = 30  # observations without a gain after which every second proposal looks farther: several designs' worth
WIDENED = 1.25  # what deviations are multiplied by then: somewhat, for the models are right more often than not

__all__ = ["Observation", "design", "propose"]


def propose(
    space: Space,
    observations: Sequence[Observation],
    pending: Sequence[Config],
    rng: np.random.Generator,
    count: int,
    prior: Sequence[Observation] = (),
) -> list[Config]:
    """Return up to `count` new configurations, the most promising first; fewer where fewer are left.

    Args:
        space: what may be chosen.
        observations: all that was measured on this structure, in order.
        pending: configurations being measured now.
        rng: all that is drawn is drawn from it.
        count: how many are wanted.
        prior: observations of relatives in the same space; their times may differ by a factor.
    """
    seen = {tuple(o.config) for o in observations}
    out = [tuple(c) for c in pending]
    batch: list[Config] = []
    while len(batch) < count:
        taken = seen.union(out, batch)
        rows = pool(space, fastest(observations, prior), taken, rng)
        if not len(rows):
            break
        busy = [*out, *batch]
        if informed(space, observations, prior, len(busy)):
            place = _promising(space, rows, observations, prior, busy, rng)
        else:
            place = _farthest(space, rows, sorted(taken), rng)
        batch.append(tuple(rows[place].tolist()))
    return batch


def design(space: Space) -> int:
    """Return how many configurations are spread out before the models choose: fewer in a small space."""
    full = len(space.parameters) + 1
    return full if space.size is None else min(full, max(2, space.size // 8))


def informed(space: Space, own: Sequence[Observation], prior: Sequence[Observation], busy: int) -> bool:
    """Tell whether enough is known to ask the models; two observations of relatives count as one."""
    measured = {tuple(o.config) for o in own}
    times = {o.time for o in own if o.time is not None}
    times |= {o.time for o in prior if o.time is not None and tuple(o.config) not in measured}
    return len(times) > 2 and len(own) + busy + len(prior) // 2 >= design(space)


def fastest(own: Sequence[Observation], prior: Sequence[Observation]) -> list[Config]:
    """Return the configurations whose neighbours are worth a look: own ones before relatives'."""
    ranked = [sorted((o for o in group if o.time is not None), key=_time) for group in (own, prior)]
    return list(dict.fromkeys(tuple(o.config) for group in ranked for o in group))[:CENTRES]


def _time(observation: Observation) -> float:
    return np.inf if observation.time is None else observation.time


def _farthest(space: Space, rows: Rows, taken: Sequence[Config], rng: np.random.Generator) -> int:
    """Return the row farthest from everything taken, of some drawn."""
    some = rng.choice(len(rows), min(SPREAD, len(rows)), replace=False)
    if not taken:
        return int(some[0])
    here, there = plain(space, rows[some]), plain(space, np.array(taken))
    apart = ((here[:, None, :] - there[None, :, :]) ** 2).sum(2).min(1)
    return int(some[apart.argmax()])


def _promising(
    space: Space, rows: Rows, own: Sequence[Observation], prior: Sequence[Observation], busy: Sequence[Config],
    rng: np.random.Generator,
) -> int:  # fmt: skip
    """Return the row with the largest expected gain that is likely to work and not beside one being measured."""
    beliefs = believe(space, own, prior, rows, busy, rng)
    wider = WIDENED if len(own) % 2 and _stale(own) else 1.0
    return int((_gain(beliefs, wider) * beliefs.works * (1 - beliefs.crowded)).argmax())


def _stale(own: Sequence[Observation]) -> bool:
    """Tell whether the best is old."""
    times = [_time(o) for o in own]
    return bool(times) and len(times) - int(np.argmin(times)) > STALE


def _gain(beliefs: Beliefs, wider: float) -> Floats:
    """Return how much each row is expected to improve on the best: normal beliefs, errors taken from tanh."""
    deviation = beliefs.deviation * wider + 1e-9
    z = (beliefs.best - beliefs.mean) / deviation
    below = 0.5 * (1 + np.tanh(np.sqrt(2 / np.pi) * (z + 0.044715 * z**3)))
    gain: Floats = deviation * np.maximum(z * below + np.exp(-z * z / 2) / np.sqrt(2 * np.pi), 0)
    return gain
