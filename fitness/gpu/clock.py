"""What pairs of timings say: a ratio with an interval, and whether one program is faster than another.

A score is the median of paired log-ratios; its interval comes from the order statistics, which assumes nothing
about the shape of the noise. Rounds in which the anchor, a fixed copy, ran at another speed are left out.
"""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

CONFIDENCE = 0.95
DRIFT = 0.03  # an anchor that far from its median means that the device's clocks moved
DEFAULT_NULL, DEFAULT_SHORT_NULL = 0.01, 0.03  # of a device that was not calibrated: smaller gains are none


@dataclass(frozen=True, slots=True)
class Ratio:
    """Time of one program over another's, with its interval; 0.5 is twice as fast."""

    value: float
    low: float
    high: float
    pairs: int

    def faster(self, null: float) -> bool:
        """Whether the gain is larger than what equal programs show on this device."""
        return self.high < 1.0 and self.value < 1.0 - null

    def slower(self, null: float) -> bool:
        """Whether the loss is larger than what equal programs show on this device."""
        return self.low > 1.0 and self.value > 1.0 + null


@dataclass(frozen=True, slots=True)
class Timing:
    """Microseconds of one program with the interval of their median."""

    median: float
    low: float
    high: float
    samples: int


def ratio(one: Sequence[float], other: Sequence[float]) -> Ratio:
    """Compare paired samples."""
    logs = [math.log(a / b) for a, b in zip(one, other, strict=True)]
    middle, low, high = _median(logs)
    return Ratio(math.exp(middle), math.exp(low), math.exp(high), len(logs))


def timing(samples: Sequence[float]) -> Timing:
    """Summarise samples of one program."""
    return Timing(*_median(samples), len(samples))


def pooled(parts: Sequence[Ratio], pairs: Sequence[tuple[float, float]]) -> Ratio:
    """Join the comparisons of several processes: the interval of all pairs, and never narrower than their spread."""
    whole = ratio([a for a, _ in pairs], [b for _, b in pairs])
    return Ratio(
        whole.value,
        min(whole.low, *(p.value for p in parts)),
        max(whole.high, *(p.value for p in parts)),
        whole.pairs,
    )


def steady(anchors: Sequence[Sequence[float]]) -> list[bool]:
    """Tell for each cycle whether the anchor ran as fast as in most; all False where most cycles disagree."""
    usual = statistics.median(a for cycle in anchors for a in cycle)
    kept = [abs(statistics.median(cycle) / usual - 1) <= DRIFT for cycle in anchors]
    return kept if 2 * sum(kept) >= len(kept) else [False] * len(kept)


def _median(values: Sequence[float]) -> tuple[float, float, float]:
    """Return the median and the order statistics that enclose it with the confidence wanted."""
    ordered = sorted(values)
    n = len(ordered)
    below = _rank(n)
    return statistics.median(ordered), ordered[below], ordered[n - 1 - below]


def _rank(n: int) -> int:
    """Return how many values may be cut off at each end of n sorted ones; 0 where n is too small for the confidence."""
    tail, k = 0.0, 0
    while k < n // 2:
        tail += math.comb(n, k) / 2**n
        if tail > (1 - CONFIDENCE) / 2:
            break
        k += 1
    return max(0, k - 1)
