"""Finds the work of a module of somebody else's and smaller sizes for it, on tensors that hold nothing."""

import math
import time
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
    """Return, for each limit, the sizes at which a module takes no more: found one at a time, and with equal ones.

    Where it cannot be run on such tensors they are its own. What is found in time is returned, of the first limit at
    the least.
    """
    prepare()
    host.install()
    report.stage("sizes")
    source = payload["source"]
    rows, deadline, found = shrinking.rows(source), time.monotonic() + shrinking.SECONDS, []
    for elements, flops in payload["limits"]:
        most = shrinking.Work(math.floor(elements), math.floor(flops))
        ways = [shrinking.shrunk(source, most, rows, together) for together in (False, True)]
        found.append([[list(pair) for pair in sizes.items()] for sizes in ways])
        if time.monotonic() > deadline:
            break
    return found
