"""Draws the values of a case's inputs from a seed: the same seed gives the same bytes on every machine."""

import zlib
from collections.abc import Mapping

import numpy as np
import torch

from suites.task import Argument, Input, Scalar


def draw(
    arguments: Mapping[str, Argument], seed: int, case: str, trial: str = "base"
) -> dict[str, torch.Tensor | Scalar]:
    """Draw every argument of a case for one trial; scalars pass through."""
    return {
        name: tensor(a, generator(seed, case, trial, name)) if isinstance(a, Input) else a
        for name, a in arguments.items()
    }


def generator(*entropy: int | str) -> np.random.Generator:
    """Return the generator that belongs to a seed and names."""
    return np.random.default_rng([e if isinstance(e, int) else zlib.crc32(e.encode()) for e in entropy])


def tensor(spec: Input, rng: np.random.Generator) -> torch.Tensor:
    """Draw one tensor in its memory order and dtype; what pads its rows is NaN, or the dtype's largest integer."""
    shape = spec.stored
    own = (*shape[:-1], shape[-1] - spec.pad) if shape else ()
    values = torch.from_numpy(np.asarray(_values(spec, own, rng))).to(getattr(torch, spec.dtype))
    if spec.pad:
        filler = float("nan") if spec.floating else spec.dtype == "bool" or torch.iinfo(values.dtype).max
        padded = torch.full(shape, filler, dtype=values.dtype)
        padded[..., : own[-1]] = values
        values = padded
    drawn: torch.Tensor = spec.laid_out(values)
    return drawn


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
