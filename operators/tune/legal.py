"""Lists what constraints allow of the parameters that they tie together, so that it can be drawn from.

Parameters that no constraint ties to each other are free of each other. So the legal configurations of a large space
are the product of short lists: each is grown a parameter at a time, and rows are dropped as soon as a constraint has
all of its names. Where a list gets too long it goes on with rows drawn from it, and is no longer complete.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from operators.tune import conditions
from operators.tune.constraints import Constraint

LONGEST = 2**19  # rows of a list while it grows: some dozens of megabytes
TESTED = 2**22  # combinations that are tested to lengthen a list by one parameter: some tenths of a second, once
AT_ONCE = 2**18

Rows = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Part:
    """Parameters that constraints tie together, by their places, and which combinations of them are legal."""

    places: tuple[int, ...]
    rows: Rows  # one column for each place
    complete: bool


def parts(values: Sequence[conditions.Column], names: Sequence[str], constraints: Sequence[Constraint]) -> list[Part]:
    """Return the parts of a space: `values` and `names` are of each parameter."""
    tied = [frozenset(at for at, name in enumerate(names) if name in _names(test)) for test in constraints]
    groups: list[set[int]] = []
    for places in tied:
        touched = [group for group in groups if group & places]
        groups = [group for group in groups if not group & places] + [set(places).union(*touched)]
    rng = np.random.default_rng(0)
    found = []
    for group in groups:
        tests = [(test, where) for test, where in zip(constraints, tied, strict=True) if where <= group]
        found.append(_grown(sorted(group, key=lambda at: len(values[at])), values, names, tests, rng))
    return found


def _names(test: Constraint) -> set[str]:
    return {test.prefix + name for name in test.names}


def _grown(
    places: Sequence[int], values: Sequence[conditions.Column], names: Sequence[str],
    tests: Sequence[tuple[Constraint, frozenset[int]]], rng: np.random.Generator,
) -> Part:  # fmt: skip
    """List the legal combinations of some parameters."""
    rows, complete = np.empty((1, 0), dtype=np.int64), True
    for number, place in enumerate(places):
        size, known = len(values[place]), list(places[: number + 1])
        now = [test for test, where in tests if place in where and where <= set(known)]
        begun = _some(rows, max(1, (TESTED if now else LONGEST) // size), rng)
        columns = {names[at]: (values[at], known.index(at)) for at in known}
        longer = _some(_lengthened(begun, size, now, columns), LONGEST, rng)
        complete = complete and len(begun) == len(rows) and len(longer) < LONGEST
        rows = longer
    return Part(tuple(places), rows, complete)


def _lengthened(
    rows: Rows, size: int, tests: Sequence[Constraint], columns: Mapping[str, tuple[conditions.Column, int]]
) -> Rows:
    """Put every value of one more parameter to every row, and keep what meets the tests."""
    found = []
    each = max(1, AT_ONCE // size)
    for first in range(0, len(rows), each):
        some = rows[first : first + each]
        some = np.column_stack([np.repeat(some, size, axis=0), np.tile(np.arange(size), len(some))])
        for test in tests:
            named = {name: columns[test.prefix + name] for name in test.names}
            some = some[conditions.met(test, {n: v[some[:, at]] for n, (v, at) in named.items()}, len(some))]
        found.append(some)
    return np.concatenate(found) if found else np.empty((0, rows.shape[1] + 1), dtype=np.int64)


def _some(rows: Rows, most: int, rng: np.random.Generator) -> Rows:
    return rows if len(rows) <= most else rows[np.sort(rng.choice(len(rows), most, replace=False))]
