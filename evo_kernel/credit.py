"""What became of each operator's programs and of each family of rewrites, on this run's task and target.

Families are drawn by it: those that helped come first more often, those that never did fade and do not vanish.
"""

import math
from dataclasses import asdict, dataclass
from typing import Any

from archives.candidate import Candidate
from operators.catalogue import REWRITE

PRIOR = 10.0  # tries at most that earlier runs' word on a family is worth
Kind = tuple[str, str]  # a target and a kind of kernel
Counts = tuple[float, float, float]  # gains, misses, sum of the gains' logarithms
NOTHING: Counts = (0.0, 0.0, 0.0)
Outcome = tuple[str, str, str, float, float, float]  # target, kind of kernel, family, gains, misses, sum of log-gains


@dataclass(slots=True)
class Record:
    """Verdicts on one source's programs: how many, how many passed, and how many were faster than their parent.

    `log_gain` adds up the logarithms of those gains, `most` is the largest.
    """

    tries: int = 0
    valid: int = 0
    gains: int = 0
    log_gain: float = 0.0
    most: float = 1.0

    @property
    def mean_gain(self) -> float:
        """The geometric mean of the gains, 1 where there is none."""
        return math.exp(self.log_gain / self.gains) if self.gains else 1.0

    def tell(self, passed: bool, gain: float | None) -> None:
        """Remember one verdict; `gain` is the parent's time over the program's, if that counts as a gain."""
        self.tries += 1
        self.valid += passed
        if gain is not None:
            self.gains += 1
            self.log_gain += math.log(gain)
            self.most = max(self.most, gain)


class Credit:
    """The records of a run; a fold of its events, as all that a search knows."""

    def __init__(self) -> None:
        self.operators: dict[str, Record] = {}
        self.families: dict[str, Record] = {}
        self.earlier: tuple[Outcome, ...] = ()  # what runs knew that this one was begun from
        self.shipped: tuple[Outcome, ...] = ()  # what comes with evo-kernel
        self._kinds: dict[tuple[Kind, str], Counts] = {}

    def tell(self, name: str, candidate: Candidate, passed: bool, gain: float | None, own: float | None,
             on: Kind) -> None:  # fmt: skip
        """Remember a verdict on a program of an operator, and of a family where it was rewritten by one.

        `gain` is what it and its trial brought; `own`, without what tuning alone would have, is the family's.
        """
        self.operators.setdefault(name, Record()).tell(passed, gain)
        if candidate.operator == REWRITE:
            family = candidate.intent.partition(":")[0]
            self.families.setdefault(family, Record()).tell(passed, own)
            seen = (0.0, 1.0, 0.0) if own is None else (1.0, 0.0, math.log(own))
            self._kinds[on, family] = added(self._kinds.get((on, family), NOTHING), seen)

    def learn(self, outcomes: tuple[Outcome, ...], shipped: bool) -> None:
        """Take what earlier runs knew; of all, only what is of a program's target and kind is used."""
        if shipped:
            self.shipped = outcomes
        else:
            self.earlier = outcomes

    def outcomes(self, on: Kind) -> dict[str, Counts]:
        """Return gains, misses and log-gains of each family, for the operator that draws by them.

        A run that this one was begun from goes before what is shipped, which makes up what that lacks of PRIOR tries.
        """
        found: dict[str, Counts] = {}
        for known in (self.earlier, self.shipped):
            for target, kernel, family, gains, misses, log_gain in known:
                if (target, kernel) == on:
                    before = found.get(family, NOTHING)
                    room = PRIOR - before[0] - before[1]
                    found[family] = added(before, weighed(gains, misses, log_gain, room))
        for name, record in self.families.items():
            seen = (float(record.gains), float(record.tries - record.gains), record.log_gain)
            found[name] = added(found.get(name, NOTHING), seen)
        return found

    def passed_on(self) -> tuple[Outcome, ...]:
        """Return what a later run may begin with: what it was given by runs and what it saw, in order of names.

        What is shipped is not handed on: that run has its own, without what its own task's searches saw.
        """
        found = _by_names(self.earlier)
        for ((target, kernel), family), seen in self._kinds.items():
            key = (target, kernel, family)
            found[key] = added(found.get(key, NOTHING), seen)
        return tuple((*key, *counts) for key, counts in sorted(found.items()))

    def rows(self) -> list[dict[str, Any]]:
        """Return the records as plain data: operators, then families, those that gained most often first."""
        return [
            {"kind": kind, "name": name, **asdict(one), "mean_gain": one.mean_gain}
            for kind, some in (("operator", self.operators), ("rewrite", self.families))
            for name, one in sorted(some.items(), key=lambda item: (-item[1].gains / item[1].tries, item[0]))
        ] + [
            {
                "kind": "earlier",
                "target": target,
                "kernel": kernel,
                "name": family,
                "tries": gains + misses,
                "gains": gains,
                "mean_gain": math.exp(log_gain / gains) if gains else 1.0,
            }
            for target, kernel, family, gains, misses, log_gain in (*self.earlier, *self.shipped)
        ]


def added(one: Counts, other: Counts) -> Counts:
    """Return the sum of two counts."""
    return one[0] + other[0], one[1] + other[1], one[2] + other[2]


def joined(one: Credit, other: Credit) -> tuple[Outcome, ...]:
    """Return what earlier runs knew that two were begun from: once what both have, and not what one told the other."""
    mine, theirs = _by_names(one.earlier), _by_names(other.earlier)
    from_one, from_other = _by_names(one.passed_on()), _by_names(other.passed_on())
    found = {key: counts for key, counts in theirs.items() if counts not in (mine.get(key), from_one.get(key))}
    for key, counts in mine.items():
        if counts == theirs.get(key) or counts != from_other.get(key):
            found[key] = added(found.get(key, NOTHING), counts)
    return tuple((*key, *counts) for key, counts in sorted(found.items()))


def _by_names(outcomes: tuple[Outcome, ...]) -> dict[tuple[str, str, str], Counts]:
    """Return counts by target, kind of kernel and family."""
    return {(target, kernel, family): (g, m, log) for target, kernel, family, g, m, log in outcomes}


def weighed(gains: float, misses: float, log_gain: float, most: float) -> Counts:
    """Shrink what earlier runs saw of a family to so many tries at most."""
    share = min(1.0, max(0.0, most) / (gains + misses))
    return share * gains, share * misses, share * log_gain


def table(rows: list[dict[str, Any]]) -> str:
    """Return the records for a person."""
    if not rows:
        return "no operator has been judged yet"
    lines = [f"{'':<10}{'name':<26}{'tries':>7}{'valid':>8}{'gained':>8}{'mean gain':>11}{'largest':>9}"]
    lines += [
        f"{row['kind']:<10}{row['name']:<26}{row['tries']:>7}{row['valid'] / row['tries']:>8.0%}"
        f"{row['gains'] / row['tries']:>8.0%}{row['mean_gain']:>10.2f}x{row['most']:>8.2f}x"
        for row in rows
        if row["kind"] != "earlier"
    ]
    earlier = [row for row in rows if row["kind"] == "earlier"]
    if earlier:
        lines.append(f"from earlier runs, where a family is worth {PRIOR:.0f} tries at most:")
    lines += [
        f"{'':<10}{row['name']:<26}{row['tries']:>7.0f}{row['gains'] / row['tries']:>16.0%}{row['mean_gain']:>10.2f}x"
        f"  {row['kernel']}, {row['target']}"
        for row in earlier
    ]
    return "\n".join(lines)
