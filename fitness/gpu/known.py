"""What a referee knows of one trial: its inputs as they lie in memory, and what the outputs must be."""

import random
from dataclasses import dataclass
from typing import Any

import torch

from fitness import yardstick
from fitness.gpu import compare, storage
from fitness.tolerance import Yardstick
from suites.loading import Functions
from suites.task import ITEM_BYTES, Input
from suites.trials import Trial, draw


@dataclass(frozen=True, slots=True)
class Known:
    """One trial's input bytes in memory order, and what its outputs must be.

    `items`: bytes of one element of every input whose elements may be moved around; they are drawn independently.
    """

    inputs: dict[str, torch.Tensor]
    items: dict[str, int]
    wanted: list[Yardstick]
    bytes: int


def learn(own: Functions, trial: Trial, seed: int, device: str, turned: bool) -> Known:
    """Draw a trial's inputs and compute truth and limits; `turned`: of the inputs moved around once, in secret.

    What is timed reads inputs that were moved around. Were those that are looked at not moved too, a program could tell
    by what stands where.
    """
    values = draw(trial, seed, device)
    if turned:
        # by amounts that follow from the secret: this trial's limits must be those of every judge of the run
        rng = random.Random(f"turned {seed} {trial.case} {trial.name}")
        values = {k: turned_around(v, trial.arguments[k], rng) for k, v in values.items()}
    made = yardstick.compute(own, values, trial, device, seed, measure=compare.errors)
    wanted = [compare.narrowed(y) for y in made]
    specs = {k: a for k, a in trial.arguments.items() if isinstance(a, Input)}
    inputs = {k: storage.stored(v, spec) for k, spec in specs.items() if isinstance(v := values[k], torch.Tensor)}
    items = {k: ITEM_BYTES[spec.dtype] if _movable(spec) else 0 for k, spec in specs.items()}
    kept = (*inputs.values(), *(t for y in wanted for t in (y.truth, y.rows, y.allowed)))
    held = sum(t.nbytes for t in kept)
    return Known(inputs, items, wanted, held)


def turned_around(value: Any, spec: Any, rng: random.Random) -> Any:
    """Return an input with its elements moved around on a ring; anything else as it is."""
    if not isinstance(value, torch.Tensor) or not isinstance(spec, Input) or not _movable(spec):
        return value
    # bytes of float8 are moved as such: no GPU moves float8
    whole = storage.stored(value, spec).view(value.dtype if value.itemsize > 1 else torch.uint8)
    return spec.laid_out(whole.roll(rng.randrange(whole.numel())).view(value.dtype).view(spec.stored))


def _movable(spec: Input) -> bool:
    """Tell whether an input's elements are drawn independently, each like all others: then they may be moved."""
    return bool(spec.elements) and not spec.pad
