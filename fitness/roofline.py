"""The least time a case can take: what is printed as its roofline, and what a program faster than it is refused by.

Least work over the highest rate anything reached: bytes over the best of copying, reading and writing, or
multiplications over the best of the vendor's own matrix products. Both are measured by the clock that judges, from
buffers that start outside the cache; until a device is calibrated they are its sheet's. Nothing is subtracted for
writes that stay in the cache: it is full of others' writes when a timed run begins, so that what one leaves behind
it has pushed out of another; and what escapes this is in the measured rate too.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from fitness.evaluation import Failure, Stage
from fitness.targets import Target
from suites import Case, Input

# What a median may lie below the roofline and still pass: a clock errs by up to 3% of short kernels, and two devices of
# one name, or one device cold and warm, differ by a little more than long ones.
SLACK = 0.05


@dataclass(frozen=True, slots=True)
class Ceilings:
    """The highest rates of one device: of its sheet, or measured."""

    memory_gbs: float
    vector_tflops: float
    matrix_tflops: Mapping[str, float]
    measured: bool = False


@dataclass(frozen=True, slots=True)
class Roofline:
    """The least microseconds of one case, what makes it so (memory or matrix), and how it comes about in words."""

    time_us: float
    bound: str
    said: str
    advice: str = ""  # what a person may do who doubts it

    def beaten(self, time_us: float) -> bool:
        """Tell whether no kernel that does the work can take so little."""
        return time_us < self.time_us * (1 - SLACK)

    def refusal(self, case: Case, time_us: float, device: str, why: str) -> Failure:
        """Return the verdict on a time that beats it."""
        message = (
            f"case {case.name}: {time_us:.2f} us is faster than the roofline of this case on {device}, "
            f"{self.time_us:.2f} us for {self.said} (it may be passed by {SLACK:.0%}): {why}{self.advice}"
        )
        return Failure(Stage.TIMING, "roofline", message, case=case.name)


def of_sheet(target: Target) -> Ceilings:
    """Return the rates that a chip's vendor publishes: they are above what any kernel reaches."""
    return Ceilings(target.memory_gbs, target.vector_tflops, target.matrix_tflops)


def roofline(case: Case, ceilings: Ceilings) -> Roofline:
    """Return the least time of a case."""
    source = "measured here" if ceilings.measured else "of its sheet"
    advice = "" if ceilings.measured else "; `evo-kernel doctor --calibrate` measures what this device can do"
    rate = _rate(case, ceilings)
    memory, matrix = case.bytes / (ceilings.memory_gbs * 1e3), case.flops / (rate * 1e6)
    if memory >= matrix:
        return Roofline(
            memory, "memory", f"{case.bytes / 1e6:.4g} MB at {ceilings.memory_gbs:.0f} GB/s {source}", advice
        )
    return Roofline(matrix, "matrix", f"{case.flops / 1e9:.4g} GFLOP at {rate:.4g} TFLOP/s {source}", advice)


def _rate(case: Case, ceilings: Ceilings) -> float:
    """Return the highest rate of arithmetic on a case's inputs.

    Products of float32 may be made of tf32's or of several of bfloat16's, which can be right too: each takes at least
    twice as long as one of bfloat16.
    """
    dtypes = {a.dtype for a in case.inputs.values() if isinstance(a, Input)}
    rates = [ceilings.matrix_tflops.get(d, 0.0) for d in dtypes]
    if "float32" in dtypes:
        rates += [ceilings.matrix_tflops.get("tf32", 0.0), ceilings.matrix_tflops.get("bfloat16", 0.0) / 2]
    return max(ceilings.vector_tflops, *rates)
