"""What became of each operator's programs and of each family of rewrites, on this run's task and target.

Families are drawn by it: those that helped come first more often, those that never did fade and do not vanish.
"""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from archives.candidate import Candidate
from operators.catalogue import REWRITE

Outcomes = Mapping[str, tuple[int, int]]  # gains and misses, by family


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

    def tell(self, name: str, candidate: Candidate, passed: bool, gain: float | None) -> None:
        """Remember a verdict on a program of an operator, and of a family where it was rewritten by one."""
        self.operators.setdefault(name, Record()).tell(passed, gain)
        if candidate.operator == REWRITE:
            self.families.setdefault(candidate.intent.partition(":")[0], Record()).tell(passed, gain)

    def outcomes(self) -> dict[str, tuple[int, int]]:
        """Return what the operator that rewrites draws by."""
        return {name: (record.gains, record.tries - record.gains) for name, record in self.families.items()}

    def rows(self) -> list[dict[str, Any]]:
        """Return the records as plain data: operators, then families, those that gained most often first."""
        return [
            {"kind": kind, "name": name, **asdict(one), "mean_gain": one.mean_gain}
            for kind, some in (("operator", self.operators), ("rewrite", self.families))
            for name, one in sorted(some.items(), key=lambda item: (-item[1].gains / item[1].tries, item[0]))
        ]


def table(rows: list[dict[str, Any]]) -> str:
    """Return the records for a person."""
    if not rows:
        return "no operator has been judged yet"
    lines = [f"{'':<10}{'name':<26}{'tries':>7}{'valid':>8}{'gained':>8}{'mean gain':>11}{'largest':>9}"]
    lines += [
        f"{row['kind']:<10}{row['name']:<26}{row['tries']:>7}{row['valid'] / row['tries']:>8.0%}"
        f"{row['gains'] / row['tries']:>8.0%}{row['mean_gain']:>10.2f}x{row['most']:>8.2f}x"
        for row in rows
    ]
    return "\n".join(lines)
