"""Draws the values of a case's inputs from a seed: the same seed gives the same bytes on every machine."""

import math
import zlib
from collections.abc import Mapping

import numpy as np
import torch

from suites.task import SPECIAL, WHOLE, Argument, Input, Scalar

SPECIAL_EACH, SPECIAL_SHARE = 4, 64  # of each kind at most so many, and at most one to so many elements
# Of `whole`: numbers of three bits, which float8_e5m2 has too, and 0 in place of so many that some 64 products are left
# of a sum along longer rows. So two sums in five need more than float16's 11 bits, five in six more than bfloat16's 8
# (their root mean square is 4300), and not one in a thousand more than the 14 of a matrix unit that cuts 13 bits behind
# the first.
NUMBERS = (0, 1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 16, 20, 24, 28, 32, 40, 48, 56)
LEFT = 64
LARGE = {"float64": 1e150}  # its square must be finite, for limits are made of squares in float64


def draw(
    arguments: Mapping[str, Argument], seed: int, case: str, trial: str = "base", device: str = "cpu"
) -> dict[str, torch.Tensor | Scalar]:
    """Draw every argument of a case for one trial; scalars pass through.

    On another device the numbers are others, but again the same for equal names and seeds: 2^31 normal numbers take a
    minute on a CPU and a fraction of a second on a GPU.
    """
    return {
        name: tensor(a, generator(seed, case, trial, name), device) if isinstance(a, Input) else a
        for name, a in arguments.items()
    }


def generator(*entropy: int | str) -> np.random.Generator:
    """Return the generator that belongs to a seed and names."""
    return np.random.default_rng([e if isinstance(e, int) else zlib.crc32(e.encode()) for e in entropy])


def tensor(spec: Input, rng: np.random.Generator, device: str = "cpu") -> torch.Tensor:
    """Draw one tensor in its memory order and dtype; what pads its rows is NaN, or the dtype's largest integer."""
    shape = spec.stored
    own = (*shape[:-1], shape[-1] - spec.pad) if shape else ()
    if device == "cpu":
        drawn = torch.from_numpy(np.asarray(_values(spec, own, rng)))
    else:
        drawn = on_device(spec, own, torch.Generator(device).manual_seed(int(rng.integers(2**63))))
    if (spec.scale, spec.shift) != (1.0, 0.0):
        drawn = (drawn if drawn.is_floating_point() else drawn.float()).mul_(spec.scale).add_(spec.shift)
    values = drawn.to(getattr(torch, spec.dtype))
    if spec.pad:
        filler = float("nan") if spec.floating else spec.dtype == "bool" or torch.iinfo(values.dtype).max
        padded = torch.full(shape, filler, dtype=values.dtype, device=device)
        padded[..., : own[-1]] = values
        values = padded
    view: torch.Tensor = spec.laid_out(values)
    return view


def on_device(spec: Input, shape: tuple[int, ...], rng: torch.Generator) -> torch.Tensor:
    """Draw raw values where the generator is: the distributions of `_values`, in the precision of the dtype."""
    made = {"generator": rng, "device": rng.device}
    kind = torch.float64 if spec.dtype == "float64" else torch.float32
    if spec.distribution == "indices":
        return torch.randint(spec.low, spec.high or 1, shape, **made)
    if spec.distribution == "integers":
        return torch.randint(*_span(spec), shape, **made)
    if spec.distribution == "signs":
        return torch.randint(-1, 2, shape, dtype=torch.int8, **made)
    if spec.distribution == WHOLE:
        table = torch.tensor([*NUMBERS, *(-n for n in NUMBERS)], dtype=kind, device=rng.device)
        signed = table[torch.randint(0, len(table), shape, **made)]
        return signed.mul_(torch.rand(shape, dtype=torch.float32, **made) < _share(shape))
    if spec.distribution == "uniform":
        return torch.rand(shape, dtype=kind, **made)
    values = torch.randn(shape, dtype=kind, **made)
    if spec.distribution == "heavy":
        # a normal number over the root of half a chi-square of two degrees, which is an exponential number
        return values.div_(torch.empty_like(values).exponential_(generator=rng).sqrt_()).clamp_(-1e4, 1e4)
    if spec.distribution == "offset":
        values += 100.0
    if spec.distribution in SPECIAL:
        flat, numbers = values.view(-1), specials(spec, values.numel())
        step = flat.numel() // max(1, len(numbers))  # one to a stretch, so that no two meet
        for number, place in enumerate(torch.randint(0, max(1, step), (len(numbers),), **made).tolist()):
            flat[number * step + place] = numbers[number]
    if spec.distribution == "spike" and values.numel():
        flat = values.view(-1)
        flat[torch.randint(0, flat.numel(), (max(1, flat.numel() // 4096),), **made)] = 1000.0
        flat[-1] = 1000.0
    return values


def _share(shape: tuple[int, ...]) -> float:
    """Return the share of `whole` numbers that are drawn, and not 0."""
    return min(1.0, (LEFT / max(1, shape[-1])) ** 0.5) if shape else 1.0


def _span(spec: Input) -> tuple[int, int]:
    """Return the least integer of a dtype, and the one after its largest."""
    info = torch.iinfo(getattr(torch, spec.dtype))
    return info.min, info.max + 1


def specials(spec: Input, elements: int) -> list[float]:
    """List the special numbers among so many elements: a few of each kind, and none among very few."""
    kinds = [math.nan, math.inf, -math.inf, -0.0]
    if spec.distribution == "special":
        largest = LARGE.get(spec.dtype, torch.finfo(getattr(torch, spec.dtype)).max)
        kinds += [largest, -largest]
    return kinds * min(SPECIAL_EACH, elements // SPECIAL_SHARE)


def _values(spec: Input, shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """Draw raw values, float64 or int64, in memory order."""
    if spec.distribution == "indices":
        return rng.integers(spec.low, spec.high or 1, shape)
    if spec.distribution == "integers":
        return rng.integers(*_span(spec), shape)
    if spec.distribution == "signs":
        return rng.integers(-1, 2, shape).astype(np.float64)
    if spec.distribution == WHOLE:
        signed = np.array([*NUMBERS, *(-n for n in NUMBERS)], np.float64)[rng.integers(0, 2 * len(NUMBERS), shape)]
        return np.where(rng.random(shape) < _share(shape), signed, 0.0)
    if spec.distribution == "uniform":
        return rng.random(shape)
    if spec.distribution == "heavy":
        # Student's t with 2 degrees of freedom: infinite variance, so no element's share can be guessed
        return np.clip(rng.standard_t(2, shape), -1e4, 1e4)
    values = rng.standard_normal(shape)
    if spec.distribution == "offset":
        values += 100.0
    if spec.distribution in SPECIAL and (numbers := specials(spec, values.size)):
        step = values.size // len(numbers)
        values.reshape(-1)[np.arange(len(numbers)) * step + rng.integers(0, step, len(numbers))] = numbers
    if spec.distribution == "spike" and values.size:
        flat = values.reshape(-1)
        flat[rng.integers(0, flat.size, max(1, flat.size // 4096))] = 1000.0
        flat[-1] = 1000.0
    return values
