"""Asks whether a plan can have done the task at the timed size, where outputs are not compared without a GPU.

The busiest sampled program times the grid is the most that a launch can have stored, moved or computed. A plan that
stays below what the task needs has left work out. One that passes may still be wrong.
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


def missing(plan: LaunchPlan, case: Case, choice: Mapping[str, str], works: Any) -> str | None:
    """Say what a plan's programs leave out, if anything."""
    if case.bytes < SMALL_CASE:
        return None
    stored = moved = float(sum(b.bytes for b in plan.buffers if b.fill is not None))
    flops, dots = 0.0, False
    for launch, samples in zip(plan.launches, works, strict=True):
        number = launch.index(choice)
        work, programs = Work(*samples[number]), math.prod(launch.variants[number].grid)
        stored += work.most_stored * programs
        moved += work.most_moved * programs
        flops += work.most_flops * programs
        dots |= work.dot_flops > 0
    outputs = sum(math.prod(v.shape) * ITEM_BYTES[v.dtype] for v in plan.outputs)
    for what, unit, done, least in (
        ("store", "bytes", stored, outputs),
        ("move", "bytes", moved, case.bytes),
        ("compute", "floating-point operations in dots", flops if dots else math.inf, case.flops),
    ):
        if done < SLACK * least:
            return (
                f"at the timed size its programs {what} at most {done:.4g} {unit}; the task needs at least "
                f"{least:.4g}: part of the work is left out"
            )
    return None
