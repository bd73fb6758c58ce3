"""Extremely randomised trees over a few hundred points, all grown at once, a level at a time.

They see what a smooth model misses: steps, and a size that must be a multiple of something. scikit-learn's would
take several times the time that a proposal may take.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from operators.tune.features import Floats, Singles

TREES = 16  # as many as a proposal's time allows: their spread is what counts as doubt, and more change it little
SPLITS = 6  # random splits tried at a node: some of a few dozen columns, so that trees differ
DEPTH = 10  # splits a few hundred points down to single ones
PURE = 1e-12

Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Forest:
    """Nodes of all trees in flat arrays; the first TREES nodes are the roots, and a leaf is its own child."""

    feature: Ints
    threshold: Singles
    child: Ints  # the left one; the right one follows it
    value: Floats

    def predict(self, x: Singles) -> tuple[Floats, Floats]:
        """Return mean and standard deviation over the trees for every row."""
        count, width = x.shape
        flat = np.ascontiguousarray(x).ravel()
        leaf = self.child == np.arange(len(self.child))
        reached = np.repeat(np.arange(TREES), count)
        at, place = np.tile(np.arange(count) * width, TREES), np.arange(TREES * count)
        node = reached
        while len(node):
            node = self.child.take(node) + (flat.take(at + self.feature.take(node)) > self.threshold.take(node))
            reached[place] = node
            go = np.flatnonzero(~leaf.take(node))
            node, at, place = node[go], at[go], place[go]
        votes = self.value.take(reached).reshape(TREES, count)
        return votes.mean(0), votes.std(0)


class _Growth:
    """The trees while they grow, and which points stand in which open node."""

    def __init__(self, x: Singles, y: Floats) -> None:
        room = 2 * TREES * len(y)
        self.feature, self.threshold = np.zeros(room, dtype=np.int64), np.full(room, np.inf, dtype=np.float32)
        self.child, self.value = np.arange(room), np.zeros(room)
        self.value[:TREES] = y.mean()
        self.used = TREES
        self.open = np.arange(TREES)
        self.point, self.at = np.tile(np.arange(len(y)), TREES), np.repeat(np.arange(TREES), len(y))
        self._columns, self._rows, self._y = np.ascontiguousarray(x.T).ravel(), len(y), y

    def grow(self, rng: np.random.Generator) -> None:
        """Split every open node that can be split by the best of a few random splits."""
        order = np.argsort(self.at.astype(np.min_scalar_type(len(self.open))), kind="stable")  # 16 bits sort fastest
        self.at, self.point = self.at[order], self.point[order]
        feature, threshold, right, gain = self._try(rng)
        chosen, nodes = gain.argmax(0), np.arange(len(self.open))
        split = gain[chosen, nodes] > -np.inf
        fresh = np.where(split, 2 * (np.cumsum(split) - 1), -1)
        parents = self.open[split]
        self.feature[parents] = feature[chosen, nodes][split]
        self.threshold[parents] = threshold[chosen, nodes][split]
        self.child[parents] = self.used + fresh[split]
        kept = split[self.at]
        side = right[chosen[self.at], np.arange(len(self.at))][kept]
        self.point, self.at = self.point[kept], fresh[self.at[kept]] + side
        self._enter(2 * int(split.sum()))

    def _try(self, rng: np.random.Generator) -> tuple[Ints, Singles, NDArray[np.bool_], Floats]:
        """Return for each try and open node: feature, threshold, which points go right, and what it explains."""
        nodes, n = len(self.open), self._rows
        here = self._y[self.point]
        count = np.bincount(self.at, minlength=nodes)
        first = np.cumsum(count) - count
        drawn = rng.random((4, SPLITS, nodes))
        column = (drawn[0] * (len(self._columns) // n)).astype(np.int64) * n  # where it begins
        one, other = (self._columns.take(column + self.point[first + (d * count).astype(np.int64)]) for d in drawn[1:3])
        low, width = np.minimum(one, other), np.abs(one - other)
        threshold = (low + width * drawn[3]).astype(np.float32)
        cells = column.take(self.at, 1, mode="clip")  # never clips: numpy is faster where it need not look
        cells += self.point
        right = self._columns.take(cells) > threshold.take(self.at, 1, mode="clip")
        sums = np.add.reduceat(right * here, first, axis=1)
        counts = np.add.reduceat(right, first, axis=1, dtype=np.int64)
        total = np.add.reduceat(here, first)
        rest = count - counts
        explained = sums**2 / np.maximum(counts, 1) + (total - sums) ** 2 / np.maximum(rest, 1)
        gain = np.where((width > 0) & (counts > 0) & (rest > 0), explained, -np.inf)
        return column // n, threshold, right, gain

    def _enter(self, fresh: int) -> None:
        """Give new nodes their values; those with unequal points stay open."""
        y = self._y[self.point]
        count = np.bincount(self.at, minlength=fresh)
        mean = np.bincount(self.at, y, fresh) / np.maximum(count, 1)
        spread = np.bincount(self.at, y * y, fresh) / np.maximum(count, 1) - mean**2
        self.value[self.used : self.used + fresh] = mean
        stays = (count > 1) & (spread > PURE)
        again = np.where(stays, np.cumsum(stays) - 1, -1)
        kept = stays[self.at]
        self.open = self.used + np.flatnonzero(stays)
        self.point, self.at = self.point[kept], again[self.at[kept]]
        self.used += fresh


def fit(x: Singles, y: Floats, rng: np.random.Generator) -> Forest:
    """Grow the trees on every point."""
    growth = _Growth(x, y)
    for _ in range(DEPTH):
        if not len(growth.open):
            break
        growth.grow(rng)
    used = growth.used
    return Forest(growth.feature[:used], growth.threshold[:used], growth.child[:used], growth.value[:used])
