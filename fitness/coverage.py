"""Asks whether a plan can have done the task at the timed size, where outputs are not compared without a GPU.

What programs drawn at random store, move and compute on average, times the grid, is an estimate of what a launch does.
A plan whose estimate stays below what the task needs is looked at again with more programs; if chance does not explain
it then, it has left work out. Times are predicted from the same programs, so who is lucky here has gained nothing. A
plan that passes may still be wrong.
"""

import math
from collections.abc import Mapping
from typing import Any

from fitness.plan import LaunchPlan
from fitness.predict import Work
from suites import Case
from suites.task import ITEM_BYTES

SMALL_CASE = 1 << 16  # bytes; below, a case may be so special that its inputs do not matter
SLACK = 0.98  # the task's own count may be an estimate
FEW, MANY = 3, 48  # programs of each launch, at first and in doubt
DEVIATIONS = 2.5  # standard errors of the second estimate that chance may explain


def missing(plan: LaunchPlan, case: Case, choice: Mapping[str, str], works: Any, deviations: float = 0.0) -> str | None:
    """Say what a plan's programs leave out, if anything; chance may explain so many standard errors."""
    if case.bytes < SMALL_CASE:
        return None
    filled = float(sum(b.bytes for b in plan.buffers if b.fill is not None))
    sums, variances, dots = [filled, filled, 0.0], [0.0, 0.0, 0.0], False
    for launch, samples in zip(plan.launches, works, strict=True):
        number = launch.index(choice)
        work, programs = Work(*samples[number]), math.prod(launch.variants[number].grid)
        counts = (work.store_bytes, work.load_bytes + work.store_bytes, work.dot_flops)
        for n, (own, squares) in enumerate(zip(counts, work.squares, strict=True)):
            sums[n] += own / work.programs * programs
            variances[n] += _variance(own, squares, work.programs, programs)
        dots |= work.dot_flops > 0
    stored, moved, flops = (s + deviations * math.sqrt(v) for s, v in zip(sums, variances, strict=True))
    outputs = sum(math.prod(v.shape) * ITEM_BYTES[v.dtype] for v in plan.outputs)
    for what, unit, done, least in (
        ("store", "bytes", stored, outputs),
        ("move", "bytes", moved, case.bytes),
        ("compute", "floating-point operations in dots", flops if dots else math.inf, case.flops),
    ):
        if done < SLACK * least:
            return (
                f"at the timed size its programs {what} about {done:.4g} {unit}; the task needs at least "
                f"{least:.4g}: part of the work is left out"
            )
    return None


def _variance(own: float, squares: float, samples: int, programs: int) -> float:
    """Return how uncertain the sum over all programs is when so many samples are what is known of it."""
    if samples in (1, programs):
        return 0.0
    spread = max(0.0, squares - own * own / samples) / (samples - 1)
    return float(programs**2 * spread / samples * (1 - samples / programs))
