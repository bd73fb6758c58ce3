"""What a proposal of the tuner costs: processor time of the operator's `propose`, and of the models in it.

    OMP_NUM_THREADS=1 taskset -c 1 python benchmarks/tuner.py

The operator reads the knobs of every program that it learns from, asks the models, and writes the program that they
choose. In a search one proposal follows another, from 200 observations on, and one in FOLLOWED has a new parent; the
process's shape is fitted anew at every tenth. The first one after a resume is cold: it is timed in a new process that
has read nothing. A tenth of the observations failed by accident, or all in one place did.
"""

import os
import statistics
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from time import process_time

import numpy as np

from archives.candidate import Candidate, fingerprint
from operators.knobs import rewrite, structure
from operators.proposal import Context, Observed
from operators.tune.operator import KnobTune, Tuning
from operators.tune.space import Config
from operators.tune.tuner import Observation, propose
from suites import load

OBSERVATIONS = 200
REPEATS = 100
FOLLOWED = 20
COLD = 5
FAILED = 0.1
BOUND = 30.0  # milliseconds
LISTED = """
import torch, triton
import triton.language as tl

@triton.jit
def kernel(a, b, c, K, BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr, BLOCK_K: tl.constexpr, UNROLL: tl.constexpr):
    acc = tl.zeros((BLOCK_M, BLOCK_N), tl.float32)
    rows, columns, depth = tl.arange(0, BLOCK_M), tl.arange(0, BLOCK_N), tl.arange(0, BLOCK_K)
    for start in range(0, K, BLOCK_K * UNROLL):
        for step in tl.static_range(UNROLL):
            k = start + step * BLOCK_K + depth
            acc = tl.dot(tl.load(a + rows[:, None] * K + k[None, :]), tl.load(b + k[:, None] * 4096 + columns), acc)
    tl.store(c + rows[:, None] * 4096 + columns[None, :], acc)

def run(a, b):
    c = torch.empty((4096, 4096), device=a.device)
    kernel[(1,)](a, b, c, 4096, BLOCK_M=64, BLOCK_N=64, BLOCK_K=32, UNROLL=4, num_warps=4, num_stages=3)
    return c
"""
PROGRAMS = {"listed": (LISTED, "cuda"), "drawn from": (load("gemm_fp16").seeds[0].source, "hip")}


class Kernel:
    """A program whose knobs are tuned, and made-up times of its settings."""

    def __init__(self, source: str, backend: str) -> None:
        self.backend, self.tuning = backend, Tuning(source, backend)
        self.home = structure(source)
        self.parent = Candidate(source, "seed", "", (), fingerprint(source), self.home)
        self.sizes = np.array([len(p.values) for p in self.tuning.space.parameters])

    @property
    def settings(self) -> int:
        """How many there are."""
        return int(self.sizes.prod())

    def observe(self, count: int, seed: int, placed: bool) -> tuple[list[Observation], list[Observed]]:
        """Observe settings drawn evenly, of which some failed: as configurations and as programs."""
        rng = np.random.default_rng(seed)
        rows = rng.permutation(self.tuning.space.draw(rng, count)).tolist()
        bad = [row[0] + row[1] == self.sizes[:2].sum() - 2 or row[-1] == 0 < row[0] - 2 for row in rows]
        failed = bad if placed else rng.random(count) < FAILED
        times = [None if f else time_of(row, self.sizes, rng) for row, f in zip(rows, failed, strict=True)]
        made = [Observation(tuple(row), time) for row, time in zip(rows, times, strict=True)]
        sources = [rewrite(self.parent.source, self.tuning.changes(o.config), self.home) for o in made]
        return made, [Observed(s, o.time, self.home) for s, o in zip(sources, made, strict=True)]

    def propose(self, parent: str, observed: Sequence[Observed], seed: int) -> float:
        """Time one proposal of the operator."""
        context = Context(np.random.default_rng(seed), lambda _: False, "", self.backend, tuple(observed))
        candidate = Candidate(parent, "knob-tune", "", (), "", self.home)
        started = process_time()
        KnobTune().propose((candidate,), context)
        return 1000 * (process_time() - started)

    def ask(self, observed: Sequence[Observation], seed: int) -> float:
        """Time the models' part of the same."""
        rng = np.random.default_rng(seed)
        started = process_time()
        propose(self.tuning.space, observed, (), rng, 1)
        return 1000 * (process_time() - started)


def time_of(config: Config, sizes: np.ndarray, rng: np.random.Generator) -> float:
    """Make up a time: a valley with some noise."""
    off = float(((np.array(config) - sizes // 2) ** 2).sum())
    return float((1 + off / 5) * (1 + 0.02 * rng.standard_normal()))


def followed(kernel: Kernel, placed: bool) -> tuple[list[float], list[float]]:
    """Time proposals one after the other, as a search asks, in a few searches: the operator's, and the models'."""
    whole, models = [], []
    for seed in range(REPEATS // FOLLOWED):
        made, programs = kernel.observe(OBSERVATIONS + FOLLOWED, seed, placed)
        parents = [programs[seed].source, programs[seed + 50].source]  # a new best, half way
        kernel.propose(parents[0], programs[: OBSERVATIONS - 1], seed)
        for n in range(FOLLOWED):
            whole.append(kernel.propose(parents[n >= FOLLOWED // 2], programs[: OBSERVATIONS + n], n))
            models.append(kernel.ask(made[: OBSERVATIONS + n], n))
    return whole, models


def first(name: str, programs: list[Observed], seed: int) -> float:
    """Time the first proposal of a process that has proposed for another kernel and read none of these programs."""
    other = Kernel(load("softmax").seeds[0].source, "cuda")
    other.propose(other.parent.source, other.observe(20, seed, False)[1], seed)  # modules are loaded
    kernel = Kernel.__new__(Kernel)
    kernel.backend, kernel.home = PROGRAMS[name][1], programs[0].structure
    return kernel.propose(programs[-1].source, programs, seed)


def cold(name: str) -> list[float]:
    """Time first proposals, each in a process of its own."""
    kernel = Kernel(*PROGRAMS[name])
    programs = [kernel.observe(OBSERVATIONS, 100 + seed, True)[1] for seed in range(COLD)]
    with ProcessPoolExecutor(1, get_context("spawn"), max_tasks_per_child=1) as pool:
        return list(pool.map(first, [name] * COLD, programs, range(COLD)))


def shown(cost: list[float]) -> str:
    """Write a row's figures."""
    return f"mean {statistics.fmean(cost):5.1f}   median {statistics.median(cost):5.1f}   worst {max(cost):5.1f}"


def main() -> None:
    """Measure and print."""
    sys.path.insert(0, str(Path(__file__).parents[1]))
    print(f"processor milliseconds, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}; bound: {BOUND:.0f} ms")
    for name, given in PROGRAMS.items():
        kernel = Kernel(*given)
        print(f"{kernel.settings:,} settings, {name}; {REPEATS} proposals at {OBSERVATIONS} observations and more")
        for placed in (False, True):
            whole, models = followed(kernel, placed)
            failures = "failures in one place" if placed else "failures by accident"
            print(f"  operator, {failures:22}  {shown(whole)}")
            print(f"    of it the models {'':16}{shown(models)}")
        print(f"  operator, first after a resume    {shown(cold(name))}   ({COLD} processes)")


if __name__ == "__main__":
    main()
