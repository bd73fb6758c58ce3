"""Errors a person can act on. The command line prints them as one line.

EvoKernelError
ConfigError    a setting is wrong (exit status 2)
RunError       a run cannot begin or go on
SeedFailed   the kernel to start from fails a gate
Unsettled    the kernel to start from, or any, cannot be judged now
"""

from fitness.evaluation import Failure


class EvoKernelError(Exception):
    """What was expected, what came, what to do."""


class ConfigError(EvoKernelError):
    """A setting is wrong."""


class RunError(EvoKernelError):
    """A run cannot begin or go on."""


class SeedFailed(RunError):
    """A search needs a right kernel to start from, and this one is not."""

    def __init__(self, name: str, failure: Failure) -> None:
        self.name, self.failure = name, failure
        trace = f"\n{failure.trace.rstrip()}" if failure.trace else ""
        super().__init__(f"seed kernel {name!r} fails at {failure.stage} ({failure.kind}): {failure.message}{trace}")

    def __reduce__(self) -> tuple[type, tuple[str, Failure]]:
        """Travel between processes as what it was made of."""
        return SeedFailed, (self.name, self.failure)


class Unsettled(RunError):
    """What everybody is compared with, or any verdict at all, cannot be had now, and later may be.

    The device's clocks did not stand still for the seed, a suite's reference fails that was right before, or the disk
    is full.
    """
