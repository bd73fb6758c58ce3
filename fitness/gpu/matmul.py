"""Measures how fast a device's matrix units can be: the best of the vendor's own products, shape by shape.

One shape is no ceiling, and neither are random numbers: what a product of them can do is set by the power they take,
and kernels are also timed on numbers that take less. So zeros are multiplied too, at which clocks stay up.
"""

import statistics
from collections.abc import Callable

import torch

SHAPES = ((8192, 8192, 8192), (4096, 4096, 16384), (16384, 8192, 4096))  # rows, columns, length of sums
WARM, RUNS = 3, 12


def tflops(kind: str, device: str) -> float:
    """Return the highest rate of products of a dtype; tf32 is float32 that may be rounded so."""
    dtype = torch.float32 if kind == "tf32" else getattr(torch, kind)
    kept = torch.backends.cuda.matmul.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = kind == "tf32"
    try:
        return max(_rate(shape, make, dtype, device) for shape in SHAPES for make in (torch.randn, torch.zeros))
    finally:
        torch.backends.cuda.matmul.allow_tf32 = kept


def _rate(shape: tuple[int, int, int], make: Callable[..., torch.Tensor], dtype: torch.dtype, device: str) -> float:
    """Return the median rate of one product, in TFLOP/s."""
    m, n, k = shape
    a, b = make(m, k, device=device).to(dtype), make(k, n, device=device).to(dtype)
    out = torch.empty(m, n, device=device, dtype=dtype)
    times = []
    for _ in range(WARM + RUNS):
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        start.record()
        torch.mm(a, b, out=out)
        end.record()
        torch.cuda.synchronize()
        times.append(start.elapsed_time(end))
    rate: float = 2 * m * n * k / statistics.median(times[WARM:]) / 1e9
    return rate
