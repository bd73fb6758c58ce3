"""Waits and tries again where that can help, a bounded number of times, as long as the server asks."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol, TypeVar

from operators.llm.errors import ModelError

T = TypeVar("T")


class Clock(Protocol):
    """Time as retries and budgets see it."""

    def now(self) -> float:
        """Return seconds of a clock that never goes back."""

    async def sleep(self, seconds: float) -> None:
        """Wait."""


class RealClock:
    """The machine's own clock."""

    def now(self) -> float:
        """Return seconds since some moment."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        await asyncio.sleep(seconds)


@dataclass(frozen=True, slots=True)
class Patience:
    """How often and how long: waits double from `first` to `longest`; a Retry-After beyond `obey` is not waited for."""

    attempts: int = 5
    first: float = 1.0
    longest: float = 60.0
    obey: float = 300.0

    def wait(self, attempt: int, error: ModelError) -> float | None:
        """Return the seconds to wait after failed attempt number `attempt`, or None to give up."""
        if not error.kind.transient or attempt >= self.attempts:
            return None
        if error.after is not None:
            return None if error.after > self.obey else error.after
        # spread, so that 32 calls that were refused together do not come back together
        return min(self.longest, self.first * 2.0 ** (attempt - 1)) * random.uniform(0.5, 1.0)


async def persist(
    attempt: Callable[[int], Awaitable[T]],
    patience: Patience,
    clock: Clock,
    waited: Callable[[ModelError, float], None],
) -> T:
    """Call until it works or patience ends; `waited` is told of every failure and wait before it begins."""
    number = 1
    while True:
        try:
            return await attempt(number)
        except ModelError as error:
            pause = patience.wait(number, error)
            if pause is None:
                raise
            waited(error, pause)
            await clock.sleep(pause)
            number += 1
