"""Makes wrong programs of a task's own reference: what a task must refuse to be of any use.

Each is made twice, from the inputs in their dtypes and from the same in float64, so that one which is right after all
can be told from one that passes.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from fitness import skipping, yardstick
from fitness.tolerance import EPSILON, Yardstick
from suites.loading import Functions
from suites.trials import Trial

TILE = 16  # the last tile is one of so many

Values = Mapping[str, Any]
Made = list[torch.Tensor | None]


@dataclass(frozen=True, slots=True)
class Ground:
    """One trial with all that mutants of it are made from."""

    trial: Trial
    values: Values
    eager: list[torch.Tensor]
    truths: list[torch.Tensor]
    yardsticks: tuple[Yardstick, ...]


Mutant = Callable[[Functions, Ground, bool], Made]


def mutants(own: Functions, grounds: Sequence[Ground]) -> Iterator[tuple[str, Mutant, str]]:
    """Yield every wrong program by name, with what a task should change that accepts it.

    Those of every task; each input sampled alone along each of its dimensions, where that is not the same; and each
    reduction left out alone: a sum that adds little to what the same input gives otherwise is missed by no other.
    """
    yield from ((name, *rest) for name, rest in MUTANTS.items())
    tensors = {k: v for k, v in grounds[0].values.items() if isinstance(v, torch.Tensor) and v.dim()}
    for name, value in tensors.items():
        for d in range(value.dim()):
            if len(tensors) > 1 or d < value.dim() - 1:
                yield f"`{name}` sampled along dimension {d}", _one_sampled(name, d), _MORE
    reductions = max((skipping.names(own.reference, [*g.values.values()]) for g in grounds), key=len)
    for number, what in enumerate(reductions):
        for how in skipping.How:
            yield f"reduction {number + 1} ({what}) {how}", _without(number, how), _MORE


def _made(ground: Ground, exact: bool) -> list[torch.Tensor]:
    return ground.truths if exact else ground.eager


def _zeros(own: Functions, ground: Ground, exact: bool) -> Made:
    return [torch.zeros_like(o) for o in _made(ground, exact)]


def _constant(own: Functions, ground: Ground, exact: bool) -> Made:
    """Fill every output with the mean of its truth, or with NaN or infinity where it is nothing else."""
    found: Made = []
    for output, truth in zip(_made(ground, exact), ground.truths, strict=True):
        values = truth.double().flatten()
        finite = values[torch.isfinite(values)]
        mean = float((finite if finite.numel() else values).mean()) if values.numel() else 0.0
        found.append(torch.full(output.shape, mean, dtype=torch.float64).to(output.dtype))
    return found


def _identity(own: Functions, ground: Ground, exact: bool) -> Made:
    """Return the first input of an output's shape and dtype, if there is one."""
    values = list(ground.values.values())
    found: Made = []
    for output in ground.eager:
        same = [v for v in values if isinstance(v, torch.Tensor) and (v.shape, v.dtype) == (output.shape, output.dtype)]
        found.append((same[0].double() if exact else same[0]) if same else None)
    return found


def _changed(change: Callable[[torch.Tensor], torch.Tensor]) -> Mutant:
    """Make a mutant that computes the reference on changed inputs: the floating ones, or all if none is."""

    def mutant(own: Functions, ground: Ground, exact: bool) -> Made:
        values = yardstick.lifted(ground.values) if exact else dict(ground.values)
        tensors = {k: v for k, v in values.items() if isinstance(v, torch.Tensor) and v.dim()}
        floating = {k: v for k, v in tensors.items() if v.is_floating_point()}
        moved = {k: change(v.clone()) for k, v in (floating or tensors).items()}
        return [*yardstick.outputs(own.reference(*{**values, **moved}.values()))]

    return mutant


def _half(tensor: torch.Tensor) -> torch.Tensor:
    """Zero the second half of every row."""
    tensor[..., (tensor.shape[-1] + 1) // 2 :] = 0
    return tensor


def _sampled(tensor: torch.Tensor) -> torch.Tensor:
    """Put every so many-th element of a row in the place of those after it."""
    return skipping.sampled(tensor, -1)


def _one_sampled(name: str, dimension: int) -> Mutant:
    """Make a mutant that computes the reference with one input sampled along one of its dimensions."""

    def mutant(own: Functions, ground: Ground, exact: bool) -> Made:
        values = yardstick.lifted(ground.values) if exact else dict(ground.values)
        if values[name].dim() <= dimension:
            return [None] * len(ground.eager)
        values[name] = skipping.sampled(values[name], dimension)
        return [*yardstick.outputs(own.reference(*values.values()))]

    return mutant


def _without(number: int, how: skipping.How) -> Mutant:
    """Make a mutant that leaves one reduction of the reference out, and does all else."""

    def mutant(own: Functions, ground: Ground, exact: bool) -> Made:
        values = yardstick.lifted(ground.values) if exact else ground.values
        result = skipping.without(own.reference, list(values.values()), number, how)
        return [None] * len(ground.eager) if result is None else [*yardstick.outputs(result)]

    return mutant


def _tail(fill: float) -> Mutant:
    """Make a mutant that never writes the last tile of each output."""

    def mutant(own: Functions, ground: Ground, exact: bool) -> Made:
        found: Made = []
        for output in _made(ground, exact):
            cut = output.contiguous().clone()
            tile = max(1, cut.numel() // TILE)
            unwritten = fill if cut.is_floating_point() or fill == 0 else 0x5B
            cut.reshape(-1)[cut.numel() - tile :] = unwritten
            found.append(cut)
        return found

    return mutant


def _bfloat16(own: Functions, ground: Ground, exact: bool) -> Made:
    """Compute from inputs rounded to bfloat16 and round the result so, for outputs of more precision."""

    def rounded(tensor: Any) -> Any:
        plain = isinstance(tensor, torch.Tensor) and tensor.is_floating_point()
        return tensor.bfloat16().to(tensor.dtype) if plain else tensor

    values = yardstick.lifted(ground.values) if exact else ground.values
    made = yardstick.outputs(own.reference(*[yardstick.copied(rounded(v)) for v in values.values()]))
    fine = [EPSILON.get(y.dtype, 1.0) < EPSILON["bfloat16"] for y in ground.yardsticks]
    return [rounded(m) if f else None for m, f in zip(made, fine, strict=True)]


ZEROS, CONSTANT = "zeros", "a constant"
_VARIED = "let the results depend on the inputs: other shapes, or distributions with larger and more varied values"
_MORE = "add a case, an edge or a distribution in which what is left out matters"
MUTANTS: Mapping[str, tuple[Mutant, str]] = {
    ZEROS: (_zeros, _VARIED),
    CONSTANT: (_constant, _VARIED),
    "the identity": (_identity, "let the results differ from that input: other shapes or distributions"),
    "half the data": (_changed(_half), _MORE),
    "a skipped reduction": (_changed(_sampled), _MORE),
    "the last tile never written": (_tail(float("nan")), _MORE),
    "the last tile zero": (_tail(0.0), _MORE),
    "bfloat16 inside": (_bfloat16, "add a case in which the operation's dtype and bfloat16 round differently: fewer "
                                   "`honest` implementations of low precision, or values that bfloat16 does not have"),
}  # fmt: skip
