"""What a tuner chooses from: parameters, their values, and which configurations of them are legal."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from operators.tune import conditions, legal
from operators.tune.constraints import Constraint, blame
from operators.tune.legal import Part

LISTED = 20_000  # a product with at most so many combinations is listed in full, a larger one is drawn from
DRAWS = 20_000  # combinations tried at most for one answer
RARE = 1e-3  # share of combinations below which legal ones are drawn from those found, even if these are not all
BLAMED = 2_000  # of them, drawn evenly, on which it is found out which ones do
TWICE = 400  # draws of configurations that differ in two parameters
NEAREST, FARTHER = 64, 64  # values of a parameter with more of them that its neighbours have: next to it, and spread

Kind = Literal["categorical", "ordinal", "power-of-two"]
Value = int | float | str | bool | None
Config = tuple[int, ...]  # one index into each parameter's values
Rows = NDArray[np.int64]


class SpaceError(ValueError):
    """A space that nothing can be chosen from: what is wrong with it."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """One number or choice. Values of a categorical one have no order; those of the others rise."""

    name: str
    values: tuple[Value, ...]
    kind: Kind = "ordinal"

    def __post_init__(self) -> None:
        object.__setattr__(self, "values", tuple(self.values))
        if not self.values:
            raise SpaceError(f"parameter {self.name} has no values")
        if len(set(self.values)) < len(self.values):
            raise SpaceError(f"parameter {self.name} has a value twice: {list(self.values)}")
        if self.kind == "categorical":
            return
        if not all(isinstance(v, (int, float)) and math.isfinite(v) for v in self.values):
            raise SpaceError(f"{self.kind} parameter {self.name} needs finite numbers, got {list(self.values)}")
        numbers = [float(v) for v in self.values if v is not None]
        if numbers != sorted(numbers):
            raise SpaceError(f"values of {self.kind} parameter {self.name} must rise, got {list(self.values)}")
        if self.kind == "power-of-two" and not all(math.log2(v).is_integer() if v > 0 else False for v in numbers):
            raise SpaceError(f"parameter {self.name} needs powers of two, got {list(self.values)}")


class Space:
    """Parameters and their legal configurations: listed where they are few enough, else drawn and tested."""

    def __init__(
        self, parameters: Sequence[Parameter], rows: Rows | None = None, constraints: Sequence[Constraint] = ()
    ) -> None:
        self.parameters = tuple(parameters)
        self._constraints = tuple(constraints)
        self.rows = rows  # every legal configuration, or None where they are too many

    @classmethod
    def table(cls, parameters: Sequence[Parameter], rows: Iterable[Sequence[int]]) -> "Space":
        """Make a space of the configurations given, as indices into the parameters' values."""
        _check(parameters)
        listed = [tuple(row) for row in rows]
        if not listed:
            raise SpaceError("the space has no legal configuration: its table is empty")
        for row in listed:
            if len(row) != len(parameters) or any(
                not 0 <= index < len(p.values) for index, p in zip(row, parameters, strict=False)
            ):
                raise SpaceError(f"configuration {row} does not fit the {len(parameters)} parameters of the space")
        if len(set(listed)) < len(listed):
            raise SpaceError("the table of the space holds a configuration twice")
        return cls(parameters, np.array(listed, dtype=np.int64))

    @classmethod
    def product(cls, parameters: Sequence[Parameter], constraints: Sequence[Constraint] = ()) -> "Space":
        """Make a space of all combinations that meet every constraint."""
        _check(parameters)
        space = cls(parameters, None, constraints)
        if space._combinations <= LISTED:
            tried = _every([np.arange(len(p.values))[:, None] for p in parameters])
            space.rows = found = space._met(tried)
        else:
            tried = Space(parameters).draw(np.random.default_rng(0), BLAMED)
            found = space._drawn(np.random.default_rng(0), 1)
            if constraints and len(found) and space._few:
                space.rows = space._listed()
        if not len(found):
            every = [space.values(tuple(row)) for row in tried.tolist()]
            raise SpaceError(f"{space._none()}: {blame(constraints, every)}")
        return space

    def _none(self) -> str:
        """Say that there is nothing legal, or that nothing was found."""
        sure = self.rows is not None or any(part.complete and not len(part.rows) for part in self._parts)
        return "the space has no legal configuration" if sure else "no legal configuration of the space was found"

    @cached_property
    def _parts(self) -> list[Part]:
        return legal.parts(self._columns, [p.name for p in self.parameters], self._constraints)

    @property
    def _few(self) -> bool:
        """Tell whether the legal configurations are known, and few enough to be listed."""
        tied = {place for part in self._parts for place in part.places}
        free = math.prod(len(p.values) for at, p in enumerate(self.parameters) if at not in tied)
        return all(p.complete for p in self._parts) and free * math.prod(len(p.rows) for p in self._parts) <= LISTED

    def _listed(self) -> Rows:
        """List the legal configurations, in order."""
        tied = [place for part in self._parts for place in part.places]
        free = [at for at in range(len(self.parameters)) if at not in tied]
        parts = [np.arange(len(self.parameters[at].values))[:, None] for at in free]
        rows = _every([*parts, *(part.rows for part in self._parts)])
        return self._once(rows[:, np.argsort([*free, *tied])])

    @property
    def size(self) -> int | None:
        """Number of legal configurations, None where nobody counted them."""
        return None if self.rows is None else len(self.rows)

    def values(self, config: Config) -> dict[str, Value]:
        """Return a configuration's values by name."""
        return {p.name: p.values[index] for p, index in zip(self.parameters, config, strict=True)}

    def legal(self, config: Config) -> bool:
        """Tell whether a configuration belongs to the space."""
        return tuple(config) in self._known if self.rows is not None else bool(len(self._met(np.array([config]))))

    def draw(self, rng: np.random.Generator, count: int) -> Rows:
        """Return up to `count` legal configurations drawn evenly, each once."""
        if self.rows is None:
            return self._drawn(rng, count)
        if count >= len(self.rows):
            return self.rows
        return self.rows[rng.choice(len(self.rows), count, replace=False)]

    def around(self, config: Config, distance: int, rng: np.random.Generator) -> Rows:
        """Return legal configurations that differ in one parameter, and some that differ in two if asked for these."""
        centre = np.array(config)
        near = self._met(self._changed(centre))
        return near if distance < 2 else np.concatenate([near, self._met(self._changed_twice(centre, rng))])

    def apart(self, config: Config) -> NDArray[np.int64]:
        """Return in how many parameters each listed configuration differs from one."""
        return np.asarray((self._compact != np.array(config, dtype=self._compact.dtype)[:, None]).sum(0))

    def free(self, taken: Iterable[Config]) -> NDArray[np.bool_]:
        """Tell of each listed configuration whether it is not taken."""
        free = np.ones(len(self._all()), dtype=bool)
        free[self._places(taken)] = False
        return free

    def _places(self, configs: Iterable[Config]) -> NDArray[np.int64]:
        """Return where those of some configurations stand that are listed."""
        some = list(configs)
        if self._numbered is None:
            return np.array([self._known[c] for c in some if c in self._known], dtype=np.int64)
        order, numbers = self._numbered
        wanted = self._number(np.array(some, dtype=np.int64).reshape(-1, len(self.parameters)))
        found = np.minimum(np.searchsorted(numbers, wanted), len(numbers) - 1)
        return np.asarray(order[found[numbers[found] == wanted]])

    @cached_property
    def _numbered(self) -> tuple[NDArray[np.int64], NDArray[np.int64]] | None:
        """Return the listed configurations' places and numbers in rising order; None where numbers get too large."""
        if self._combinations > np.iinfo(np.int64).max:
            return None
        numbers = self._number(self._all())
        order = np.argsort(numbers, kind="stable")
        return order, numbers[order]

    def _number(self, rows: Rows) -> NDArray[np.int64]:
        """Return a number for each row, rising with the rows' order."""
        return np.asarray(np.ravel_multi_index(tuple(rows.T), [len(p.values) for p in self.parameters]))

    @cached_property
    def _combinations(self) -> int:
        return math.prod(len(p.values) for p in self.parameters)

    @cached_property
    def _compact(self) -> NDArray[np.unsignedinteger[Any]]:
        """Hold the listed configurations a parameter a row: to be compared fast."""
        most = max(len(p.values) for p in self.parameters)
        return np.ascontiguousarray(self._all().T, dtype=np.uint16 if most <= 2**16 else np.uint32)

    def _all(self) -> Rows:
        if self.rows is None:
            raise ValueError("the configurations of this space are not listed")
        return self.rows

    @cached_property
    def _known(self) -> dict[Config, int]:
        """Return where each listed configuration stands."""
        return {tuple(row): at for at, row in enumerate(self._all().tolist())}

    def _met(self, rows: Rows) -> Rows:
        """Keep the rows that meet every constraint."""
        for test in self._constraints:
            rows = rows[self._flags(test, rows)]
        return rows

    def _flags(self, test: Constraint, rows: Rows) -> NDArray[np.bool_]:
        """Tell which rows meet a constraint."""
        places = {name: self._place[test.prefix + name] for name in test.names}
        return conditions.met(test, {n: self._columns[at][rows[:, at]] for n, at in places.items()}, len(rows))

    @cached_property
    def _columns(self) -> list[conditions.Column]:
        return [conditions.column(p.values) for p in self.parameters]

    @cached_property
    def _place(self) -> dict[str, int]:
        return {p.name: at for at, p in enumerate(self.parameters)}

    def _drawn(self, rng: np.random.Generator, count: int) -> Rows:
        """Draw combinations until enough are legal, or patience ends."""
        sizes = [len(p.values) for p in self.parameters]
        found = np.empty((0, len(sizes)), dtype=np.int64)
        tried = 0
        while len(found) < count and tried < DRAWS:
            batch = min(max(2 * count, 64), DRAWS - tried)
            tried += batch
            fresh = self._met(self._tied(rng.integers(sizes, size=(batch, len(sizes))), rng))
            found = self._once(np.concatenate([found, fresh]))
        return found if len(found) <= count else found[rng.choice(len(found), count, replace=False)]

    def _tied(self, rows: Rows, rng: np.random.Generator) -> Rows:
        """Have what constraints tie together drawn from what is legal of it, where that is known or hard to meet."""
        for part in self._parts if self._constraints else ():
            rare = len(part.rows) < RARE * math.prod(len(self.parameters[at].values) for at in part.places)
            if len(part.rows) and (part.complete or rare):
                rows[:, part.places] = part.rows[rng.integers(len(part.rows), size=len(rows))]
        return rows

    def _changed(self, centre: Rows) -> Rows:
        others = [_others(int(at), len(p.values)) for at, p in zip(centre, self.parameters, strict=True)]
        places = np.repeat(np.arange(len(others)), [len(one) for one in others])
        rows = np.repeat(centre[None, :], len(places), axis=0)
        rows[np.arange(len(places)), places] = np.concatenate(others)
        return rows

    def _changed_twice(self, centre: Rows, rng: np.random.Generator) -> Rows:
        if len(self.parameters) < 2:
            return np.empty((0, len(self.parameters)), dtype=np.int64)
        sizes = np.array([len(p.values) for p in self.parameters])
        first = rng.integers(len(sizes), size=TWICE)
        second = (first + rng.integers(1, len(sizes), size=TWICE)) % len(sizes)
        rows = np.repeat(centre[None, :], TWICE, axis=0)
        for places in (first, second):
            rows[np.arange(TWICE), places] = rng.integers(sizes[places])
        rows = self._once(rows)
        return np.asarray(rows[(rows != centre).sum(1) == 2])

    def _once(self, rows: Rows) -> Rows:
        """Return each row once, in order: compared as single numbers where these are not too large."""
        if self._combinations > np.iinfo(np.int64).max:
            return np.unique(rows, axis=0)
        return np.asarray(rows[np.unique(self._number(rows), return_index=True)[1]])


def _others(place: int, count: int) -> Rows:
    """Return the places of other values of a parameter: all, or of very many those nearby and some from everywhere."""
    if count <= NEAREST + FARTHER:
        return np.concatenate([np.arange(place), np.arange(place + 1, count)])
    near = np.arange(max(place - NEAREST // 2, 0), min(place + NEAREST // 2 + 1, count))
    found = np.union1d(near, np.linspace(0, count - 1, FARTHER).astype(np.int64))
    return np.asarray(found[found != place])


def _every(parts: Sequence[Rows]) -> Rows:
    """Return every combination of rows, one of each part, side by side; the last part's change fastest."""
    grids = np.meshgrid(*(np.arange(len(part)) for part in parts), indexing="ij")
    return np.concatenate([part[grid.ravel()] for part, grid in zip(parts, grids, strict=True)], axis=1)


def _check(parameters: Sequence[Parameter]) -> None:
    names = [p.name for p in parameters]
    if not names:
        raise SpaceError("the space has no parameters")
    if len(set(names)) < len(names):
        raise SpaceError(f"two parameters of the space share a name: {names}")
