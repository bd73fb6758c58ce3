"""Which configurations are worth a model's opinion: the neighbours of the fastest, and others from everywhere."""

from collections.abc import Collection, Sequence

import numpy as np

from operators.tune.space import Config, Rows, Space

SIZE = 700  # configurations that models are asked about: a proposal's time grows with them
CENTRES = 5  # the fastest configurations, whose neighbours are looked at: of the first also those two changes away
DISTANT = (
    300  # most configurations that differ in two parameters: with neighbours they leave some hundreds from anywhere
)


def pool(space: Space, fastest: Sequence[Config], taken: Collection[Config], rng: np.random.Generator) -> Rows:
    """Return legal configurations that are not taken, about SIZE at most; none when nothing is left."""
    centres = fastest[:CENTRES]
    return _drawn(space, centres, taken, rng) if space.rows is None else _listed(space, space.rows, centres, taken, rng)


def _listed(
    space: Space, rows: Rows, centres: Sequence[Config], taken: Collection[Config], rng: np.random.Generator
) -> Rows:
    """Choose by position in the list of all."""
    free = space.free(taken)
    near, far = np.zeros(len(rows), dtype=bool), np.zeros(len(rows), dtype=bool)
    for place, centre in enumerate(centres):
        apart = space.apart(centre)
        near |= apart == 1
        if place == 0:
            far = apart == 2
    near &= free
    neighbours = _some(np.flatnonzero(near), SIZE, rng)  # of parameters with very many values there are more
    chosen = [neighbours, _some(np.flatnonzero(far & free & ~near), DISTANT, rng)]
    left = SIZE - sum(map(len, chosen))
    rest = free & ~near
    rest[chosen[1]] = False
    chosen.append(_some(np.flatnonzero(rest), max(left, 0), rng))
    return np.asarray(rows[np.concatenate(chosen)])


def _drawn(space: Space, centres: Sequence[Config], taken: Collection[Config], rng: np.random.Generator) -> Rows:
    """Draw what cannot be listed."""
    found: dict[Config, None] = {}
    for place, centre in enumerate(centres):
        found.update((tuple(row), None) for row in space.around(centre, 2 if place == 0 else 1, rng).tolist())
    found.update((tuple(row), None) for row in space.draw(rng, max(SIZE - len(found), 1)).tolist())
    return np.array([c for c in found if c not in taken], dtype=np.int64).reshape(-1, len(space.parameters))


def _some(places: Rows, count: int, rng: np.random.Generator) -> Rows:
    return places if len(places) <= count else rng.choice(places, count, replace=False)
