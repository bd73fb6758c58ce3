"""Conditions on a launcher's arguments that tell some of a task's cases from others: simple ones, that name no case.

x.shape[1] % 16 == 0      x.shape[1] & (x.shape[1] - 1) == 0      x.shape[0] < 4096      x.element_size() < 4
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from suites.task import ITEM_BYTES, Argument, Case, Input

DIVISORS = (16, 8)  # elements: what Triton specialises for, and what makes 16 bytes of a 16-bit dtype


@dataclass(frozen=True, slots=True)
class Condition:
    """A condition as Python, and whether it holds in each case."""

    text: str
    holds: tuple[bool, ...]


def conditions(names: Sequence[str], cases: Sequence[Case]) -> list[Condition]:
    """Return the conditions that hold in some cases and not in all, each division of the cases once, plain ones first.

    `names` are what the launcher calls its arguments, in the order of a case's inputs.
    """
    found: dict[tuple[bool, ...], Condition] = {}
    for name, *values in zip(names, *(case.inputs.values() for case in cases), strict=True):
        for text, holds in _about(name, values):
            flags = tuple(holds)
            if any(flags) and not all(flags):
                found.setdefault(flags, Condition(text, flags))
    return list(found.values())


def best(found: Sequence[Condition], here: Sequence[float], there: Sequence[float]) -> list[tuple[Condition, float]]:
    """Rank conditions by how fast a program is that takes times `there` where they hold, and `here` elsewhere.

    Only those under which it is faster than both are given, with how many times faster than the better one, by
    geometric means.
    """
    alone = min(_mean(here), _mean(there))
    gains = [(c, alone / _mean([t if h else f for f, t, h in zip(here, there, c.holds, strict=True)])) for c in found]
    return sorted(((c, gain) for c, gain in gains if gain > 1.0), key=lambda pair: -pair[1])


def _mean(times: Sequence[float]) -> float:
    return math.exp(sum(map(math.log, times)) / len(times))


def _about(name: str, values: Sequence[Argument]) -> Iterator[tuple[str, list[bool]]]:
    """Give the conditions on one argument."""
    tensors = [v for v in values if isinstance(v, Input)]
    if len(tensors) < len(values):
        numbers = [v for v in values if isinstance(v, (int, float))]
        yield from _thresholds(name, numbers if len(numbers) == len(values) else [])
        return
    for d in range(min(len(t.shape) for t in tensors)):
        sizes, size = [t.shape[d] for t in tensors], f"{name}.shape[{d}]"
        for divisor in DIVISORS:
            yield f"{size} % {divisor} == 0", [s % divisor == 0 for s in sizes]
        yield f"{size} & ({size} - 1) == 0", [s & (s - 1) == 0 for s in sizes]
        yield from _thresholds(size, sizes)
    yield from _thresholds(f"{name}.element_size()", [ITEM_BYTES[t.dtype] for t in tensors])
    yield f"{name}.is_contiguous()", [_row_major(t) for t in tensors]


def _thresholds(what: str, values: Sequence[float]) -> Iterator[tuple[str, list[bool]]]:
    """Give a bound between each two neighbouring values: a power of two, or half as much again, where there is one."""
    levels = sorted(set(values))
    for low, high in pairwise(levels):
        power = 2 ** math.floor(math.log2(high)) if high > 1 else 1
        bound = next((b for b in (power, 3 * power // 2, 3 * power // 4, power // 2) if low < b <= high), high)
        yield f"{what} < {bound}", [v < bound for v in values]


def _row_major(tensor: Input) -> bool:
    return (tensor.order is None or tensor.order == tuple(range(len(tensor.shape)))) and not tensor.pad


def times(by_case: Mapping[str, float], cases: Sequence[Case]) -> list[float] | None:
    """Return a program's times in the order of the cases; None where one is missing."""
    return [by_case[c.name] for c in cases] if all(c.name in by_case for c in cases) else None
