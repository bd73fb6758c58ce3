"""A Gaussian process whose kernel is a Matern-5/2 of all columns, and as much of each column alone.

The first is sure of itself only near what it has seen. The second believes that a column's effect is the same
wherever the others stand, which is half true of most knobs, and tells good from bad after a few dozen points.
Each column has a length scale of its own, fitted to the first part by a few steps up the likelihood from one point,
with a prior that keeps them sane on a handful of points.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from operators.tune.features import Floats, Singles

STEPS = 10  # up the likelihood, of RATE each in logarithms: as far as from the prior's median to where it is unlikely
RATE = 0.25
SCALE, SPREAD = (
    0.7,
    1.0,
)  # prior of a length scale, columns reaching from 0 to 1: median, and deviation of its logarithm
NOISE, NOISE_SPREAD = 1e-3, 1.5  # prior of the noise's variance relative to the signal's: times vary by a few per cent
QUIET, LOUD = 1e-5, 1.0  # bounds of the same: what single precision resolves, and all of it
POINTS = 64  # that scales are fitted on; the likelihood costs the cube of them


@dataclass(frozen=True, slots=True)
class Process:
    """A process conditioned on points."""

    inverse: Floats  # of the kernel matrix with noise
    weights: Floats
    mean: float
    variance: float

    def predict(self, near: Singles) -> tuple[Floats, Floats]:
        """Return mean and standard deviation for every row of a `nearness` to the points."""
        mean = self.mean + near @ self.weights.astype(np.float32)
        explained = np.einsum("ij,ij->i", near @ self.inverse.astype(np.float32), near)
        deviation = np.sqrt(self.variance * np.maximum(1 - explained, 1e-9))
        return mean.astype(float), deviation.astype(float)


def nearness(x: Floats, others: Floats, shape: Floats) -> Singles:
    """Return the kernel of a shape between rows and others, in single precision: 1 where they are equal."""
    return kernel(*((rows / scales(shape)).astype(np.float32) for rows in (x, others)))


def kernel(a: NDArray[Any], b: NDArray[Any]) -> NDArray[Any]:
    """Return the Matern-5/2 kernel between rows that are divided by the length scales, as precise as these are."""
    squares = (-10 * a) @ b.T
    squares += 5 * (a * a).sum(1)[:, None]
    squares += 5 * (b * b).sum(1)
    return _matern(np.sqrt(np.maximum(squares, 0, out=squares), out=squares))[0]


def covariance(near: NDArray[Any], x: Floats, others: Floats, shape: Floats) -> NDArray[Any]:
    """Return the whole kernel between rows and others, of which `near` is the part of all columns."""
    return np.asarray((near + _alone(x / scales(shape), others / scales(shape), near.dtype)) / 2)


def shape(x: Floats, y: Floats) -> Floats:
    """Return logarithms of the length scales that fit points best, and of the noise relative to the signal."""
    chosen = _informative(y)
    return np.array(_shape(x[chosen].tobytes(), y[chosen].tobytes(), x.shape[1]))


def scales(shape: Floats) -> Floats:
    """Return the length scale of each column."""
    return np.asarray(np.exp(shape[:-1]))


def noise(shape: Floats) -> float:
    """Return the variance of an observation's noise, relative to the signal's."""
    return float(np.exp(shape[-1]))


def fit(between: Floats, y: Floats, noise: Floats) -> Process:
    """Condition a process on points: the kernel between them, in double precision as it is ill-conditioned."""
    inverse = np.linalg.inv(between + np.diag(noise))
    rows = inverse.sum(1)
    mean = float(rows @ y / rows.sum())
    weights = inverse @ (y - mean)
    variance = max(float((y - mean) @ weights) / len(y), 1e-8)
    return Process(np.asarray(inverse), weights, mean, variance)


def _matern(r: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return the kernel at distances, and (1 + r) exp(-r), which its slope needs; in few passes over the arrays."""
    shrinking = np.exp(-r)
    fall = r + 1
    fall *= shrinking
    value = r * r
    value *= shrinking
    value /= 3
    value += fall
    return value, fall


def _alone(a: Floats, b: Floats, dtype: Any) -> NDArray[Any]:
    """Return the mean of the columns' own kernels, each computed once for every value that stands in `b`."""
    near: list[NDArray[Any]] = []
    which: list[NDArray[Any]] = []
    for one, other in zip(a.T, b.T, strict=True):
        values = np.unique(other)
        near.append(_matern(np.sqrt(5) * np.abs(one[:, None] - values))[0])
        which.append(values[:, None] == other)
    total: NDArray[Any] = np.concatenate(near, 1).astype(dtype) @ np.concatenate(which).astype(dtype)
    total /= a.shape[1]
    return total


def _informative(y: Floats) -> NDArray[np.int64]:
    """Return the fastest half and the newest others, in order, if there are more than can be fitted on."""
    if len(y) <= POINTS:
        return np.arange(len(y))
    ranked = np.argsort(y, kind="stable")
    best, rest = ranked[: POINTS // 2], np.sort(ranked[POINTS // 2 :])
    return np.sort(np.concatenate([best, rest[-(POINTS - len(best)) :]]))


@lru_cache(maxsize=256)
def _shape(points: bytes, values: bytes, width: int) -> tuple[float, ...]:
    """Take a few steps of Adam from the prior's centre; pure, so what is kept saves time and changes nothing."""
    y = np.frombuffer(values)
    x = np.frombuffer(points).reshape(len(y), width)
    apart = np.stack([((column[:, None] - column) ** 2).ravel() for column in x.T])
    centre = np.append(np.full(width, np.log(SCALE)), np.log(NOISE))
    spread = np.append(np.full(width, SPREAD), NOISE_SPREAD)
    now, first, second = centre.copy(), np.zeros(width + 1), np.zeros(width + 1)
    best, found = np.inf, centre
    for step in range(1, STEPS + 1):
        loss, slope = _loss(now, apart, y)
        off = (now - centre) / spread
        loss, slope = loss + 0.5 * float(off @ off), slope + off / spread
        if loss < best:
            best, found = loss, now.copy()
        first, second = 0.8 * first + 0.2 * slope, 0.95 * second + 0.05 * slope**2
        now = now - RATE * (first / (1 - 0.8**step)) / (np.sqrt(second / (1 - 0.95**step)) + 1e-8)
        now[-1] = np.clip(now[-1], np.log(QUIET), np.log(LOUD))
    return tuple(found.tolist())


def _loss(logs: Floats, apart: Floats, y: Floats) -> tuple[float, Floats]:
    """Return the negative log likelihood, mean and variance profiled out, and its slope."""
    n = len(y)
    weights, noise = np.exp(-2 * logs[:-1]), np.exp(logs[-1])
    matrix, fall = (part.reshape(n, n) for part in _matern(np.sqrt(5 * (weights @ apart))))
    matrix.flat[:: n + 1] += noise
    inverse = np.linalg.inv(matrix)
    rows = inverse.sum(1)
    residual = y - rows @ y / rows.sum()
    solved = inverse @ residual
    variance = max(residual @ solved / n, 1e-8)
    loss = 0.5 * n * np.log(variance) + 0.5 * np.linalg.slogdet(matrix)[1]
    pull = inverse - np.outer(solved, solved / variance)
    slope = weights * (apart @ (pull * fall).ravel()) * (5 / 6)
    return float(loss), np.append(slope, 0.5 * noise * np.trace(pull))
