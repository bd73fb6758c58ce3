"""Times a task's own PyTorch on the device: what a kernel is held against where a task comes with no kernel.

The clock: events around one call, after a pause of the device, which hides up to a millisecond of what launching costs
the host, and a write that empties the cache. It is PyTorch at its best, and no rival: a search never sees it.
"""

import statistics
from collections.abc import Callable
from typing import Any

import torch

WARM, ROUNDS = 3, 20
AHEAD = 2_000_000  # clocks of the device, about a millisecond


def median_us(call: Callable[[], Any], cache: int, device: str) -> float:
    """Return the median microseconds of a call whose inputs are not in the cache of so many bytes."""
    flush = torch.empty(max(2 * cache, 128 << 20), dtype=torch.uint8, device=device)
    took: list[float] = []
    for number in range(WARM + ROUNDS):
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        torch.cuda._sleep(AHEAD)
        flush.fill_(number)
        start.record()
        call()
        end.record()
        torch.cuda.synchronize()
        took.append(1e3 * start.elapsed_time(end))
    return statistics.median(took[WARM:])
