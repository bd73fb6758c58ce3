"""What a proposal of the tuner costs: processor time at 200 observations and 15,000 candidate configurations.

    OMP_NUM_THREADS=1 python benchmarks/tuner.py

Cold is a call on observations it has not seen before, with the fit of the process's shape that every tenth needs;
grown is the mean over ten observations more, one proposal each, as a search asks.
"""

import os
import statistics
from time import process_time

import numpy as np

from operators.tune.space import Config, Parameter, Space
from operators.tune.tuner import Observation, propose

OBSERVATIONS = 200
REPEATS = 20
BOUND = 30.0  # milliseconds


def space() -> Space:
    """Make a space of 15,000 configurations with seven parameters, as kernels have them."""
    sizes = [Parameter(name, (16, 32, 64, 128, 256), "power-of-two") for name in ("block_m", "block_n", "block_k")]
    rest = [
        Parameter("num_warps", (1, 2, 4, 8, 16), "power-of-two"),
        Parameter("num_stages", (1, 2, 3, 4)),
        Parameter("waves", (0, 1, 2)),
        Parameter("order", ("rows", "columns"), "categorical"),
    ]
    return Space.product([*sizes, *rest])


def time_of(config: Config, rng: np.random.Generator) -> float:
    """Make up a time: a valley with some noise."""
    off = sum((index - middle) ** 2 for index, middle in zip(config, (2, 3, 1, 2, 1, 2, 0), strict=True))
    return float((1 + off / 5) * (1 + 0.02 * rng.standard_normal()))


def observe(where: Space, count: int, seed: int) -> list[Observation]:
    """Observe configurations drawn evenly."""
    rng = np.random.default_rng(seed)
    return [Observation(tuple(row), time_of(tuple(row), rng)) for row in where.draw(rng, count).tolist()]


def milliseconds(where: Space, observations: list[Observation], seed: int) -> float:
    """Time one proposal."""
    started = process_time()
    propose(where, observations, (), np.random.default_rng(seed), 1)
    return 1000 * (process_time() - started)


def main() -> None:
    """Measure and print."""
    where = space()
    milliseconds(where, observe(where, OBSERVATIONS, 999), 999)  # what is listed once for a space is listed
    cold = [milliseconds(where, observe(where, OBSERVATIONS, seed), seed) for seed in range(REPEATS)]
    grown = []
    for seed in range(3):
        every = observe(where, OBSERVATIONS + 10, seed)
        grown += [milliseconds(where, every[: OBSERVATIONS + n], seed) for n in range(10)]
    print(f"one proposal, {OBSERVATIONS} observations, {where.size:,} configurations, {os.cpu_count()} cores")
    print(f"  cold    median {statistics.median(cold):6.1f} ms   worst {max(cold):6.1f} ms   (bound: {BOUND:.0f})")
    print(f"  grown   mean   {statistics.fmean(grown):6.1f} ms   worst {max(grown):6.1f} ms")


if __name__ == "__main__":
    main()
