"""Says of tensors that a suite's test drew how our inputs are drawn like them, or why none is."""

import math
from dataclasses import replace

import torch

from suites.task import ITEM_BYTES, Input

MOST = 1 << 31  # of the numbers that indices are drawn below
ZEROS = (0.2, 0.8)  # a share of zeros between these is no accident of a distribution: a triangle, a mask
NEAR = 0.15  # how near mean and spread are to those of a distribution we have
WEIGHTS = ("normal", "uniform", "signs")  # what parameters are drawn from: a network of others would overflow


class Undrawable(Exception):
    """Values that no distribution of ours gives: why, in words."""


def like(tensor: torch.Tensor, name: str) -> Input:
    """Return an input whose values are like these."""
    shape, dtype = tuple(tensor.shape), str(tensor.dtype).removeprefix("torch.")
    if dtype not in ITEM_BYTES:
        raise Undrawable(f"`{name}` is of {dtype}, which no input of ours has")
    order = _order(tensor, name)
    if dtype == "bool":
        return Input(shape, dtype, "indices", high=2, order=order)
    if not tensor.is_floating_point():
        return replace(_whole(tensor, name, dtype), order=order)
    return replace(_floating(tensor.double(), shape, dtype, name), order=order)


def parameter(values: torch.Tensor, shape: tuple[int, ...]) -> Input:
    """Return an input for a parameter of this shape, from its values at another: sums stay as large as they were."""
    drawn = values.double()
    spread, mean = float(drawn.std(correction=0)) if drawn.numel() else 0.0, float(drawn.mean()) if drawn.numel() else 0
    if drawn.numel() > 1 and spread > 1e-6 * abs(mean):
        mine, theirs = _summed(tuple(values.shape)), _summed(shape)
        spread *= (mine / theirs) ** 0.5
    else:
        spread = 0.1 * abs(mean) or 0.1
    mean = 0.0 if abs(mean) < spread else round(mean, 6)
    dtype = str(values.dtype).removeprefix("torch.")
    return Input(shape, dtype, "normal", trials=WEIGHTS, scale=float(f"{spread:.3g}"), shift=mean)


def _summed(shape: tuple[int, ...]) -> int:
    """Return how many products a parameter's rows are summed over."""
    return max(1, math.prod(shape[1:]))


def _whole(tensor: torch.Tensor, name: str, dtype: str) -> Input:
    shape = tuple(tensor.shape)
    low, high = (int(tensor.min()), int(tensor.max())) if tensor.numel() else (0, 0)
    if low < 0:
        if low >= -1 and high <= 1:
            return Input(shape, dtype, "signs")
        if dtype != "int64":
            return Input(shape, dtype, "integers")
        raise Undrawable(f"`{name}` holds negative whole numbers of 64 bits")
    if high >= MOST:
        raise Undrawable(f"`{name}` holds whole numbers up to {high}")
    return Input(shape, dtype, "indices", high=high + 1)


def _floating(values: torch.Tensor, shape: tuple[int, ...], dtype: str, name: str) -> Input:
    if not values.numel():
        return Input(shape, dtype)
    if not bool(torch.isfinite(values).all()):
        raise Undrawable(f"`{name}` holds infinities or NaN")
    distinct = set(values.flatten()[:4096].unique().tolist()) if values.numel() > 2 else set()
    if distinct and distinct <= {-1.0, 0.0, 1.0} and len(distinct) > 1:
        return Input(shape, dtype, "signs")
    zeros = float((values == 0).double().mean())
    if values.numel() > 8 and ZEROS[0] < zeros < ZEROS[1]:
        raise Undrawable(f"`{name}` is zero in {zeros:.0%} of its places, which a kernel may rest on")
    low, high = float(values.min()), float(values.max())
    mean, spread = float(values.mean()), float(values.std(correction=0))
    if low >= 0 and high <= 1 and values.numel() > 2 and abs(mean - 0.5) < NEAR:
        return Input(shape, dtype, "uniform")
    if abs(mean) < NEAR and abs(spread - 1) < NEAR * 2:
        return Input(shape, dtype, "normal")
    if low > 0 or spread == 0:  # whatever is positive stays so: variances, lengths, temperatures
        width = max(high - low, 0.1 * abs(mean), 1e-6)
        floor = low if low > 0 or low < 0 else 0.0
        return Input(
            shape, dtype, "uniform", trials=("uniform",), scale=float(f"{width:.3g}"), shift=float(f"{floor:.3g}")
        )
    scale, shift = float(f"{spread:.3g}"), 0.0 if abs(mean) < NEAR * spread else float(f"{mean:.3g}")
    return Input(shape, dtype, "normal", scale=scale, shift=shift)


def _order(tensor: torch.Tensor, name: str) -> tuple[int, ...] | None:
    """Return the order of dimensions in memory; None for the usual one."""
    if tensor.is_contiguous():
        return None
    order = tuple(sorted(range(tensor.dim()), key=lambda d: -tensor.stride(d)))
    if not tensor.permute(order).is_contiguous():
        raise Undrawable(f"`{name}` is a view with gaps in memory")
    return order
