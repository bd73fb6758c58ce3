"""Says whether tma_store_gemm's limits allow what a matrix unit makes of its sums, by emulating one on a CPU.

    python benchmarks/matrix_unit.py [--products 16] [--bits 2] [--rows 64] [--columns 128]

The unit adds so many products to a sum at a time. Each, and the sum before, is cut so many bits below the last bit that
float32 has for the largest of them; what they add up to is cut to float32. For every case and trial, of so many rows
and columns of the result: the error over its limit. And for every case its error in one direction, over all trials.
"""

import argparse
from dataclasses import replace

import torch

from fitness import tolerance, yardstick
from fitness.tolerance import Yardstick
from suites import Case, Task, load
from suites.loading import Functions, functions
from suites.trials import Trial, draw, trials

SEED = 7
PART = 32  # rows at a time
BITS = 23  # of float32, below the first


def step(largest: torch.Tensor, bits: int) -> torch.Tensor:
    """Return what numbers are multiples of that end so many bits below the first one of the largest."""
    exponent = torch.frexp(largest.clamp(min=1e-300)).exponent - 1 - bits
    return torch.ldexp(torch.ones_like(largest), exponent)


def cut(values: torch.Tensor, unit: torch.Tensor) -> torch.Tensor:
    """Cut towards zero to multiples."""
    return (values / unit).trunc_().mul_(unit)


def summed(a: torch.Tensor, b: torch.Tensor, products: int, bits: int) -> torch.Tensor:
    """Return a @ b as the unit makes it."""
    total = torch.zeros((a.shape[0], b.shape[1]), dtype=torch.float64)
    for start in range(0, a.shape[1], products):
        k = slice(start, start + products)
        made = a[:, k, None].double() * b[None, k].double()
        unit = step(torch.maximum(made.abs().amax(1), total.abs()), BITS + bits)
        total = cut(made, unit[:, None]).sum(1) + cut(total, unit)
        total = cut(total, step(total.abs(), BITS))
    return total.float()


def part(case: Case, trial: Trial, rows: int, columns: int) -> Trial:
    """Return a trial at full depth, of so many rows and columns."""
    a, b = (trial.arguments[name] for name in "ab")
    small = {"a": replace(a, shape=(min(rows, a.shape[0]), a.shape[1])),
             "b": replace(b, shape=(b.shape[0], min(columns, b.shape[1])))}  # fmt: skip
    return Trial(trial.name, case.name, small, trial.exact)


def judged(trial: Trial, own: Functions, products: int, bits: int) -> tuple[float, float, Yardstick]:
    """Return the error over its limit, the error's mean and the limits."""
    values = draw(trial, SEED)
    (limits,) = yardstick.compute(own, values, trial, "cpu", SEED)
    made = torch.cat([summed(rows, values["b"], products, bits) for rows in values["a"].split(PART)])
    return *yardstick.ratio(limits, made), limits


def main() -> None:
    """Print a line for every trial, and one for every case."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, number in (("products", 16), ("bits", 2), ("rows", 64), ("columns", 128)):
        parser.add_argument(f"--{name}", type=int, default=number)
    asked = parser.parse_args()
    task: Task = load("tma_store_gemm")
    for case in (*task.cases, *task.held_out):
        means = []
        for trial in trials(task, case, small=False):
            chosen = part(case, trial, asked.rows, asked.columns)
            ratio, mean, limits = judged(chosen, functions(task), asked.products, asked.bits)
            means.append((mean, limits))
            print(f"{case.name:<32}{trial.said:<60}{ratio:.2f}", flush=True)
        print(f"{case.name:<32}{'in one direction':<60}{tolerance.pooled(means).ratio:.2f}", flush=True)


if __name__ == "__main__":
    main()
