"""Draws the values of a case's inputs from a seed: the same seed gives the same bytes on every machine."""

import zlib
from collections.abc import Mapping

import numpy as np
import torch

from suites.task import Argument, Input, Scalar


def draw(arguments: Mapping[str, Argument], seed: int, case: str) -> dict[str, torch.Tensor | Scalar]:
    """Draw every argument of a case; scalars pass through."""
    values: dict[str, torch.Tensor | Scalar] = {}
    for name, argument in arguments.items():
        if isinstance(argument, Input):
            entropy = [seed, zlib.crc32(case.encode()), zlib.crc32(name.encode())]
            values[name] = _tensor(argument, np.random.default_rng(entropy))
        else:
            values[name] = argument
    return values


def _tensor(spec: Input, rng: np.random.Generator) -> torch.Tensor:
    """Draw one tensor in its memory order and dtype."""
    order = spec.order or tuple(range(len(spec.shape)))
    stored = tuple(spec.shape[d] for d in order)
    tensor = torch.from_numpy(_values(spec, stored, rng)).to(getattr(torch, spec.dtype))
    inverse = [order.index(d) for d in range(len(order))]
    return tensor.permute(inverse)


def _values(spec: Input, shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """Draw raw values, float64 or int64, in memory order."""
    if spec.distribution == "indices":
        return rng.integers(0, spec.high or 1, shape)
    if spec.distribution == "signs":
        return rng.integers(-1, 2, shape).astype(np.float64)
    if spec.distribution == "uniform":
        return rng.random(shape)
    if spec.distribution == "heavy":
        # Student's t with 2 degrees of freedom: infinite variance, so no element's share can be guessed
        return np.clip(rng.standard_t(2, shape), -1e4, 1e4)
    values = rng.standard_normal(shape)
    if spec.distribution == "offset":
        values += 100.0
    if spec.distribution == "spike" and values.size:
        flat = values.reshape(-1)
        flat[rng.integers(0, flat.size, max(1, flat.size // 4096))] = 1000.0
        flat[-1] = 1000.0
    return values
