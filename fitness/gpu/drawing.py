"""Draws a trial's inputs on the device: the distributions of suites.inputs at sizes a CPU would need seconds for."""

import zlib

import torch

from suites.task import Input, Scalar
from suites.trials import AMPLITUDE, BASE, INFLUENCE, LAST_TILE, Trial


def draw(trial: Trial, seed: int, device: str) -> dict[str, torch.Tensor | Scalar]:
    """Draw a trial's values from a seed; the influence trial has the base values with one element made large."""
    name = BASE if trial.name == INFLUENCE else trial.name
    values: dict[str, torch.Tensor | Scalar] = {}
    for argument, spec in trial.arguments.items():
        if not isinstance(spec, Input):
            values[argument] = spec
            continue
        drawn = _tensor(spec, _generator(device, seed, trial.case, name, argument))
        if trial.name == INFLUENCE and spec.floating and spec.elements:
            _enlarge(drawn, spec, _generator(device, seed, trial.case, trial.name, argument))
        values[argument] = drawn
    return values


def _generator(device: str, *entropy: int | str) -> torch.Generator:
    """Return the generator that belongs to a seed and names."""
    mixed = 0
    for part in entropy:
        mixed = zlib.crc32(str(part).encode(), mixed) | (zlib.adler32(str(part).encode(), mixed & 0xFFFF) << 32)
    return torch.Generator(device).manual_seed(mixed & (2**63 - 1))


def _tensor(spec: Input, rng: torch.Generator) -> torch.Tensor:
    """Draw one tensor in its memory order and dtype; what pads its rows is NaN, or the dtype's largest integer."""
    shape = spec.stored
    own = (*shape[:-1], shape[-1] - spec.pad) if shape else ()
    dtype = getattr(torch, spec.dtype)
    values = _values(spec, own, rng).to(dtype)
    if spec.pad:
        filler = float("nan") if spec.floating else spec.dtype == "bool" or torch.iinfo(dtype).max
        padded = torch.full(shape, filler, dtype=dtype, device=rng.device)
        padded[..., : own[-1]] = values
        values = padded
    drawn: torch.Tensor = spec.laid_out(values)
    return drawn


def _values(spec: Input, shape: tuple[int, ...], rng: torch.Generator) -> torch.Tensor:
    """Draw raw values in memory order; float32 is enough before the rounding to 16 bits, and for what it holds."""
    where = {"device": rng.device, "generator": rng}
    if spec.distribution == "indices":
        return torch.randint(0, spec.high or 1, shape, **where)
    if spec.distribution == "signs":
        return torch.randint(-1, 2, shape, dtype=torch.int8, **where)
    kind = torch.float64 if spec.dtype == "float64" else torch.float32
    if spec.distribution == "uniform":
        return torch.rand(shape, dtype=kind, **where)
    values = torch.randn(shape, dtype=kind, **where)
    if spec.distribution == "heavy":
        # Student's t with 2 degrees of freedom: a normal over the root of an exponential
        return (values / torch.empty_like(values).exponential_(generator=rng).sqrt_()).clamp_(-1e4, 1e4)
    if spec.distribution == "offset":
        values += 100.0
    if spec.distribution == "spike" and values.numel():
        flat = values.view(-1)
        flat[torch.randint(0, flat.numel(), (max(1, flat.numel() // 4096),), **where)] = 1000.0
        flat[-1] = 1000.0
    return values


def _enlarge(tensor: torch.Tensor, spec: Input, rng: torch.Generator) -> None:
    """Make one random element of the last tile large."""
    first = tensor.numel() - max(1, tensor.numel() // LAST_TILE)
    place = int(torch.randint(first, tensor.numel(), (), generator=rng, device=rng.device))
    index = []
    for size in reversed(tensor.shape):
        place, rest = divmod(place, size)
        index.append(rest)
    tensor[tuple(reversed(index))] = AMPLITUDE[spec.dtype]
