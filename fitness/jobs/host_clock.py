"""Lets what asks a GPU's clock ask the host's, so that a suite's way of taking times runs where there is no GPU.

What is timed so is an interpreter on a processor: the numbers show that the way works, and nothing else.
"""

import time
from typing import Any

import torch

from fitness.jobs import tuning


def install() -> None:
    """Put the host's clock behind torch's events, and a few calls behind Triton's two clocks."""
    torch.cuda.Event = Event
    tuning.quickly()


class Event:
    """Stands for an event of a GPU's stream; the host has done its work when it records."""

    def __init__(self, *_: Any, **__: Any) -> None:
        self._at = 0.0

    def record(self, *_: Any) -> None:
        """Note the time."""
        self._at = time.perf_counter()

    def synchronize(self) -> None:
        """Wait for nothing."""

    def elapsed_time(self, later: "Event") -> float:
        """Return the milliseconds up to another event."""
        return 1e3 * (later._at - self._at)
