"""Finds the work of a module of somebody else's and smaller sizes for it, on tensors that hold nothing."""

import math
from typing import Any

from fitness.child import Report
from fitness.jobs import host
from fitness.jobs.interpret import prepare
from suites.foreign import shrinking


def work(source: str) -> list[int] | None:
    """Return operations and bytes of a module's call; None where they cannot be counted."""
    found = shrinking.work(source, {}, count=True)
    return None if found is None else [found.flops, found.bytes]


def smaller(payload: Any, report: Report) -> Any:
    """Return sizes at which a module takes no more than the most: found one at a time, and together with equal ones.

    Where it cannot be run on such tensors they are its own.
    """
    prepare()
    host.install()
    report.stage("sizes")
    source, (elements, flops) = payload["source"], payload["most"]
    most, rows = shrinking.Work(math.floor(elements), math.floor(flops)), shrinking.rows(source)
    ways = [shrinking.shrunk(source, most, rows, together) for together in (False, True)]
    return [[list(pair) for pair in sizes.items()] for sizes in ways]
