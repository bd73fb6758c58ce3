"""How a configuration looks to a model: numbers between 0 and 1, sizes as logarithms.

`plain` has one column a parameter, more for a categorical one: one a value, or where these are many, one for each
binary digit of their numbers. `derived` adds what kernels care about whatever the parameters are called: products of
two sizes, and whether a size or a product is divisible by 16, 32 or 64. There the plain columns stand several times, so
that trees that try a few columns at random do not overlook them.
"""

from functools import lru_cache
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from operators.tune.space import Parameter, Rows, Space

DIVISORS = (16, 32, 64)  # a matrix instruction's edge, a warp, a wave
REPEATED = 3  # times that the plain columns stand among the derived ones, of which there are several a size
MANY = 256  # values of one parameter: with more it stands in no product, for these are listed for all pairs of values
RARE = 1e-9  # columns that vary less than this say nothing

Floats = NDArray[np.float64]
Singles = NDArray[np.float32]


def plain(space: Space, rows: Rows) -> Floats:
    """Return one scaled column for every ordered parameter, several for a categorical one."""
    columns: list[Floats] = []
    for place, parameter in enumerate(space.parameters):
        if parameter.kind == "categorical":
            columns += _choices(rows[:, place], len(parameter.values))
        else:
            columns.append(_scale(parameter)[rows[:, place]])
    return np.stack(columns, axis=1)


def derived(space: Space, rows: Rows) -> Singles:
    """Return the plain columns, and products and divisibility of sizes."""
    columns: list[Singles] = [plain(space, rows).astype(np.float32)] * REPEATED
    for one, other, looks in _sizes(space.parameters):
        columns.append(looks.take(rows[:, one] * len(space.parameters[other].values) + rows[:, other], 0))
    wide = [(at, p) for at, p in enumerate(space.parameters) if _is_size(p) and len(p.values) > MANY]
    columns += [_divisible(np.array(p.values, dtype=float)[rows[:, at]]) for at, p in wide]
    return np.concatenate(columns, axis=1)


def _choices(chosen: NDArray[np.int64], count: int) -> list[Floats]:
    """Return columns that tell choices apart."""
    if count > MANY:
        return [((chosen >> digit) & 1).astype(float) for digit in range((count - 1).bit_length())]
    return [(chosen == value).astype(float) for value in range(count)]


@lru_cache(maxsize=64)
def _sizes(parameters: tuple[Parameter, ...]) -> list[tuple[int, int, Singles]]:
    """Return how sizes and products of two look, as columns for every pair of their values."""
    some = [(place, p) for place, p in enumerate(parameters) if _is_size(p) and len(p.values) <= MANY]
    sizes = [(place, np.array(p.values, dtype=float)) for place, p in some]
    found = [(place, place, _divisible(np.repeat(size, len(size)))) for place, size in sizes]
    for (one, size), (other, width) in combinations(sizes, 2):
        product = np.outer(size, width).ravel()
        found.append((one, other, np.column_stack([np.log2(product) / 16, _divisible(product)]).astype(np.float32)))
    return found


def _scale(parameter: Parameter) -> Floats:
    """Return where each value of an ordered parameter stands between 0 and 1."""
    numbers = np.array(parameter.values, dtype=float)
    if numbers[0] > 0:
        numbers = np.log2(numbers)
    width = numbers[-1] - numbers[0]
    scaled: Floats = (numbers - numbers[0]) / max(width, RARE)
    return scaled


def _is_size(parameter: Parameter) -> bool:
    """Tell whether products with a parameter mean something: positive whole numbers, more than two of them."""
    values = parameter.values
    whole = all(isinstance(v, int) and not isinstance(v, bool) and v > 0 for v in values)
    return parameter.kind != "categorical" and whole and len(values) > 2


def _divisible(numbers: Floats) -> Singles:
    return np.stack([numbers % divisor == 0 for divisor in DIVISORS], axis=1).astype(np.float32)
