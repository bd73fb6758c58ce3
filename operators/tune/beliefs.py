"""What is believed of configurations that were not measured, from those that were.

Times are standardised logarithms, cut off above the median: how bad a bad configuration is teaches nothing about
good ones. Where failures have a place, one counts as the slowest time and its neighbourhood is less likely to work;
where they are accidents, they teach nothing about times.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from operators.tune import failures, forest, gaussian
from operators.tune.features import Floats, Singles, derived, plain
from operators.tune.space import Config, Rows, Space

CUT = 1.0  # of log-time above the median: all slower times, e times as slow and more, are taken for this one
FITTED_EARLY, FITTED = 4, 10  # the process's shape is fitted anew every so many observations, up to YOUNG and after it:
YOUNG = 40  # early each tells much of it, later fitting costs more than it changes
RELATIVES = 64  # the newest observations of relatives that are heeded: what costs grows with the cube of all
DOUBT = 0.1  # noise of a relative's observation, relative to the signal: it says where to look, own ones overrule it
CHANCE = 0.1  # noise of a failure's: it may be an accident of one measurement


@dataclass(frozen=True, slots=True)
class Observation:
    """A configuration and its time in any unit; None where it failed."""

    config: Config
    time: float | None


@dataclass(frozen=True, slots=True)
class Beliefs:
    """Mean and deviation of each row's standardised log-time, the chance that it works, and how near it is to others.

    `best` is the lowest standardised log-time observed; `centre` and `scale` lead back to log-time.
    """

    mean: Floats
    deviation: Floats
    works: Floats
    crowded: Floats
    best: float
    centre: float
    scale: float


@dataclass(frozen=True, slots=True)
class _Data:
    """Observations as arrays: own ones first, then those of relatives."""

    rows: Rows
    y: Floats  # standardised; a failure has the slowest time
    failed: np.ndarray
    doubt: Floats
    own: int
    centre: float
    scale: float


def believe(
    space: Space, own: Sequence[Observation], prior: Sequence[Observation], rows: Rows, avoid: Sequence[Config],
    rng: np.random.Generator,
) -> Beliefs:  # fmt: skip
    """Fit both models and ask them about rows; `avoid` are configurations whose neighbours are of less use now."""
    data = _gather(space, own, prior)
    x, wanted = plain(space, data.rows), plain(space, rows)
    shape = _shape(space, own, data)
    near = gaussian.nearness(wanted, x, shape)
    between = gaussian.kernel(*[x / gaussian.scales(shape)] * 2)
    works, placed = failures.chances(data.rows, rows, between, near, data.failed)
    worked = ~data.failed
    told = worked | placed
    noise = gaussian.noise(shape) + data.doubt + CHANCE * data.failed
    known = x[told]
    process = gaussian.fit(
        gaussian.covariance(between[np.ix_(told, told)], known, known, shape), data.y[told], noise[told]
    )
    mean, deviation = process.predict(gaussian.covariance(near[:, told], wanted, known, shape))
    seen, asked = _telling(derived(space, np.concatenate([data.rows[told], rows])), int(told.sum()))
    mean, deviation = _mixed(mean, deviation, *forest.fit(seen, data.y[told], rng).predict(asked))
    crowded = np.zeros(len(rows))
    if avoid:
        crowded = gaussian.nearness(wanted, plain(space, np.array(avoid)), shape).max(1).astype(float)
    best = float(data.y[worked][: int(worked[: data.own].sum()) or None].min())
    return Beliefs(mean, deviation, works, crowded, best, data.centre, data.scale)


def _mixed(smooth: Floats, unsure: Floats, stepped: Floats, split: Floats) -> tuple[Floats, Floats]:
    """Return mean and deviation of the even mixture of two beliefs: unsure where either is, or where they disagree."""
    return (smooth + stepped) / 2, np.sqrt((unsure**2 + split**2) / 2 + (smooth - stepped) ** 2 / 4)


def _telling(x: Singles, seen: int) -> tuple[Singles, Singles]:
    """Part rows into those seen and those asked for, without columns that are the same in all that was seen."""
    x = x[:, np.ptp(x[:seen], axis=0) > 0]
    return x[:seen], x[seen:]


def _gather(space: Space, own: Sequence[Observation], prior: Sequence[Observation]) -> _Data:
    """Put own observations and the newest of relatives on one scale."""
    measured = {tuple(o.config) for o in own}
    others = [o for o in prior if tuple(o.config) not in measured][-RELATIVES:]
    logs, theirs = _logs(own), _logs(others)
    rows = np.array([o.config for o in (*own, *others)], dtype=np.int64)
    theirs = theirs - _offset(plain(space, rows), logs, theirs)
    y = np.concatenate([logs, theirs])
    failed = np.isnan(y)
    y, centre, scale = _standard(y)
    doubt = np.concatenate([np.zeros(len(own)), np.full(len(others), DOUBT)])
    return _Data(rows, y, failed, doubt, len(own), centre, scale)


def _logs(observations: Sequence[Observation]) -> Floats:
    logs: Floats = np.log(np.array([np.nan if o.time is None else o.time for o in observations], dtype=float))
    return logs


def _offset(x: Floats, logs: Floats, theirs: Floats) -> float:
    """Return by how much relatives' log-times lie above own ones: the median over nearest pairs that worked."""
    here, there = np.flatnonzero(~np.isnan(logs)), np.flatnonzero(~np.isnan(theirs))
    if not len(here) or not len(there):
        return 0.0
    mine, yours = x[here], x[len(logs) + there]
    nearest = ((mine[:, None, :] - yours[None, :, :]) ** 2).sum(2).argmin(1)
    return float(np.median(theirs[there[nearest]] - logs[here]))


def _standard(logs: Floats) -> tuple[Floats, float, float]:
    """Cut, fill in failures, and standardise."""
    worked = ~np.isnan(logs)
    y = np.minimum(logs, np.median(logs[worked]) + CUT)
    y = np.where(worked, y, y[worked].max())
    centre, scale = float(y.mean()), max(float(y.std()), 1e-9)
    return (y - centre) / scale, centre, scale


def _shape(space: Space, own: Sequence[Observation], data: _Data) -> Floats:
    """Fit the process's shape to a prefix of what was observed, so that one more observation rarely changes it."""
    step = FITTED_EARLY if len(own) < YOUNG else FITTED
    prefix = own[: len(own) - len(own) % step]
    logs = _logs(prefix)
    kept = ~np.isnan(logs)
    if kept.sum() >= FITTED_EARLY and np.ptp(logs[kept]) > 0:
        rows = np.array([o.config for o in prefix], dtype=np.int64)[kept]
        return gaussian.shape(plain(space, rows), _standard(logs[kept])[0])
    kept = ~data.failed
    return gaussian.shape(plain(space, data.rows[kept]), data.y[kept])
