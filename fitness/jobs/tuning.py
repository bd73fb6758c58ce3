"""Has Triton's tuner choose by a few calls of every configuration instead of a tenth of a second of them.

For tests whose results are compared and whose times nobody takes: every configuration is still compiled and called.
"""

from collections.abc import Callable
from typing import Any

import torch
import triton.testing

CALLS = 3  # of which the first is not timed: it compiles


def quickly() -> None:
    """Let every tuner of this child choose by few calls, whichever of Triton's two clocks it asks."""
    triton.testing.do_bench = triton.testing.do_bench_cudagraph = _few_calls


def _few_calls(fn: Callable[[], Any], *ignored: Any, quantiles: Any = None, **also: Any) -> Any:
    """Return a call's shortest time in milliseconds, once for each quantile, as Triton's own clock does."""
    times = []
    for _ in range(CALLS):
        begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        begin.record()
        fn()
        end.record()
        end.synchronize()
        times.append(begin.elapsed_time(end))
    shortest = min(times[1:])
    return shortest if quantiles is None or len(quantiles) == 1 else [shortest] * len(quantiles)
