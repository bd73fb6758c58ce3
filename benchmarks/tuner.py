"""What a proposal of the tuner costs: processor time at 200 observations and 15,000 candidate configurations.

    OMP_NUM_THREADS=1 taskset -c 1 python benchmarks/tuner.py

In a search one proposal follows another, from 200 observations on: the process's shape is fitted anew at every tenth.
The first one after a resume is cold: it fits the shape in any case. A tenth of the observations failed by accident, or
all in one place did.
"""

import os
import statistics
from time import process_time

import numpy as np

from operators.tune.space import Config, Parameter, Space
from operators.tune.tuner import Observation, propose

OBSERVATIONS = 200
REPEATS = 100
FOLLOWED = 20
FAILED = 0.1
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


def observe(where: Space, count: int, seed: int, placed: bool) -> list[Observation]:
    """Observe configurations drawn evenly, of which some failed: by accident or in one place."""
    rng = np.random.default_rng(seed)
    rows = where.draw(rng, count).tolist()
    failed = (
        [row[0] + row[1] == 8 or row[2] == 4 > row[3] + 2 for row in rows] if placed else rng.random(count) < FAILED
    )
    return [Observation(tuple(r), None if f else time_of(tuple(r), rng)) for r, f in zip(rows, failed, strict=True)]


def milliseconds(where: Space, observations: list[Observation], seed: int) -> float:
    """Time one proposal."""
    started = process_time()
    propose(where, observations, (), np.random.default_rng(seed), 1)
    return 1000 * (process_time() - started)


def followed(where: Space, placed: bool) -> list[float]:
    """Time proposals one after the other, as a search asks, in a few searches."""
    every = [observe(where, OBSERVATIONS + FOLLOWED, seed, placed) for seed in range(REPEATS // FOLLOWED)]
    return [milliseconds(where, o[: OBSERVATIONS + n], n) for o in every for n in range(FOLLOWED)]


def cold(where: Space, placed: bool) -> list[float]:
    """Time first proposals of both models."""
    count = OBSERVATIONS + 1
    return [milliseconds(where, observe(where, count, seed, placed), seed) for seed in range(100, 100 + REPEATS)]


def main() -> None:
    """Measure and print."""
    where = space()
    for seed in range(3):  # what is listed once for a space is listed, and numpy is awake
        milliseconds(where, observe(where, OBSERVATIONS + seed, 1000 + seed, True), seed)
    machine = f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}"
    print(f"{REPEATS} proposals each, {where.size:,} configurations, {machine}; bound: {BOUND:.0f} ms")
    for name, measure in (("in a search", followed), ("cold", cold)):
        for placed in (False, True):
            cost = measure(where, placed)
            failures = "in one place" if placed else "by accident"
            print(
                f"  {name:11}  failures {failures:12}  mean {statistics.fmean(cost):5.1f} ms   "
                f"median {statistics.median(cost):5.1f} ms   worst {max(cost):5.1f} ms"
            )


if __name__ == "__main__":
    main()
