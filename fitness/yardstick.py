"""Makes the limits on a candidate's errors, once for each trial, from the truth and a bank of honest implementations.

Trusted code only: it runs a task's own functions. It works on any device, so that what judges on a GPU draws the
same limits as what judges under the interpreter. The bank: the reference in the dtype of its inputs, every `honest`
function of the task likewise, and exact arithmetic on inputs that carry one rounding each, twice. A backward-stable
kernel with float32 accumulation errs by a small multiple of that, however ill-conditioned the operation is at these
inputs; a real implementation alone is one sample, and a lucky one at times. Where a task allows tf32, exact arithmetic
on inputs cut as matrix units cut them is a member too: all those errors go one way, and no sum averages them out. So is
it with each input cut alone: in a sum of few terms the errors of several may make up for each other, and those of the
inputs that a unit does cut need not.
"""

import math
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch

from fitness.tolerance import EPSILON, LARGEST, TINY, Yardstick, misrounded
from suites.loading import Functions
from suites.task import ITEM_BYTES
from suites.trials import Trial

# Roundings of the output that honest results may be off, as (root mean square over all, over a row and at the peak). A
# 16-bit result is accumulated in float32, so rounding it once is all there is. A float32 result carries the errors of
# its own accumulation, which the bank shows only by luck: up to 7 units for sums of 8192 positive numbers in blocks,
# and up to 60 where one large term comes first and thousands follow one by one.
FLOORS = {"float16": (0.5, 2.0), "bfloat16": (0.5, 2.0), "float32": (16.0, 64.0), "float64": (16.0, 64.0)}
PERTURBATIONS = 2  # independent draws of rounded inputs
# relative, of inputs in float32 and, where a task allows it, in tf32; up or down by the whole of it, for where one
# element rules a row, a draw that happened to be small would refuse honest kernels
ROUNDING, TF32_ROUNDING = 2.0**-22 / math.sqrt(3), 2.0**-10 / math.sqrt(3)
# How many times a member's largest error in a row any element there may be off. A draw may have been a lucky one; cut
# inputs show the worst that hardware does to each.
ROUNDED_REACH, CUT_REACH = 16.0, 2.0
SINGLE = 1.5  # likewise of a real implementation, whose roundings are those of kernels


@dataclass(frozen=True, slots=True)
class Errors:
    """How far one output is from its truth; rows run along the last dimension."""

    mean: float  # signed
    whole: float  # root mean square
    peak: float
    rows: torch.Tensor  # root mean squares
    most: torch.Tensor  # largest of each row


@dataclass(frozen=True, slots=True)
class _Spread:
    """How far one member of the bank is from the truth of one output."""

    errors: Errors
    reach: float | None  # one of the two above; None of a real implementation


def errors(output: torch.Tensor, truth: torch.Tensor) -> Errors:
    """Measure an output against its truth, on the device where both are."""
    error = _difference(output.double(), truth)
    width = truth.shape[-1] if truth.dim() else 1
    mean, off = float(error.mean()), error.abs_().reshape(-1, width)
    most = off.amax(dim=1)
    squares = off.square_().mean(dim=1)
    return Errors(mean, math.sqrt(float(squares.mean())), float(most.max()), squares.sqrt(), most)


def compute(functions: Functions, arguments: Mapping[str, Any], trial: Trial, device: str = "cpu", seed: int = 0,
            without: str | None = None, measure: Callable[[torch.Tensor, torch.Tensor], Errors] = errors
            ) -> tuple[Yardstick, ...]:  # fmt: skip
    """Return a yardstick for every output, from drawn arguments; `without` leaves one implementation out.

    `measure` does what `errors` does, faster on some device.
    """
    values = {k: v.to(device) if isinstance(v, torch.Tensor) else v for k, v in arguments.items()}
    truths = wide(functions.reference(*lifted(values).values()))
    schema: list[tuple[str, tuple[int, ...]]] = []
    bank: list[list[_Spread | None]] = []
    for name, member, reach in _bank(functions, values, seed):
        made = outputs(member(), name)
        if len(made) != len(truths):
            raise ValueError(f"`{name}` gives {len(made)} outputs where the truth has {len(truths)}")
        if name == "reference":
            schema = [(_dtype(m), tuple(m.shape)) for m in made]
            truths = [_overflowed(t, dtype) for t, (dtype, _) in zip(truths, schema, strict=True)]
        if reach is None and schema != [(_dtype(m), tuple(m.shape)) for m in made]:
            raise ValueError(f"`{name}` returns {[(_dtype(m), tuple(m.shape)) for m in made]}; expected {schema}")
        if name == without:
            continue
        found = [
            measure(m, t) if dtype in EPSILON and t.numel() else None
            for m, t, (dtype, _) in zip(made, truths, schema, strict=True)
        ]
        bank.append([None if e is None or not math.isfinite(e.whole) else _Spread(e, reach) for e in found])
    members = zip(*bank, strict=True)
    return tuple(
        _yardstick(truth, dtype, [m for m in spreads if m is not None], trial)
        for truth, (dtype, _), spreads in zip(truths, schema, members, strict=True)
    )


def on_host(y: Yardstick) -> Yardstick:
    """Return a yardstick with numpy's arrays in place of torch's."""
    return replace(y, truth=y.truth.cpu().numpy(), rows=y.rows.cpu().numpy(), allowed=y.allowed.cpu().numpy())


def ratio(yardstick: Yardstick, output: torch.Tensor) -> tuple[float, float]:
    """Return the largest of an output's errors over its limit, and its mean signed error, on the output's device.

    The same rule as tolerance.compare, which also finds words for what is wrong.
    """
    want = yardstick
    if (_dtype(output), tuple(output.shape)) != (want.dtype, want.shape):
        return math.inf, 0.0
    if not output.numel():
        return 0.0, 0.0
    if want.dtype not in EPSILON:
        return (0.0 if bool((output.long() == want.truth).all()) else math.inf), 0.0
    value = output.double()
    same = (value == want.truth) | (torch.isfinite(value) & torch.isfinite(want.truth))
    if not bool((same | (value.isnan() & want.truth.isnan())).all()):
        return math.inf, 0.0
    error = _difference(value, want.truth)
    if want.exact and bool(((error != 0) & (want.truth.to(output.dtype).double() == want.truth)).any()):
        return math.inf, 0.0
    width = want.shape[-1] if want.shape else 1
    mean, off = float(error.mean()), error.abs_().reshape(-1, width)
    size = torch.nan_to_num(want.truth, 0.0, 0.0, 0.0).abs_().reshape(-1, width)
    excess = 0.0
    if want.misrounded is not None:
        missed = misrounded(off, size, want.dtype, (torch.int64, torch.float64))
        excess = want.excess(float(missed.sum()), missed.numel())
    limits = size.mul_(want.relative).add_(want.allowed[:, None] + TINY[want.dtype])
    single = float(torch.div(off, limits, out=limits).max())
    peak = float(off.max()) / want.peak
    squares = off.square_().mean(dim=1)
    rows = float((squares.sqrt() / want.rows).max())
    return max(single, peak, rows, math.sqrt(float(squares.mean())) / want.whole, excess), mean


def outputs(value: Any, name: str = "reference") -> list[torch.Tensor]:
    """Return what a function of that name gave as a list of tensors of known dtypes."""
    made = list(value) if isinstance(value, (tuple, list)) else [value]
    if not made or not all(isinstance(o, torch.Tensor) for o in made):
        raise ValueError(f"`{name}` must return a tensor or a tuple of tensors")
    return made


def lifted(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return floating tensors in float64; the values are those the dtype could hold."""
    return {k: v.to(torch.float64, copy=True) if _floating(v) else copied(v) for k, v in values.items()}


def wide(value: Any) -> list[torch.Tensor]:
    """Return what a function made of float64 as float64: it may have named a narrower dtype itself."""
    return [t.double() if t.is_floating_point() else t for t in outputs(value)]


def copied(value: Any) -> Any:
    """Return a tensor of its own, so that no function can change another's inputs."""
    return value.clone() if isinstance(value, torch.Tensor) else value


def _floating(value: Any) -> bool:
    return isinstance(value, torch.Tensor) and value.is_floating_point()


def _bank(
    functions: Functions, values: Mapping[str, Any], seed: int
) -> Iterator[tuple[str, Callable[[], Any], float | None]]:
    """Yield the members by name, and their reach; each is computed when called, so that only one needs memory."""
    for name, function in (("reference", functions.reference), *functions.honest):
        yield name, partial(_called, function, values), None
    for number in range(PERTURBATIONS):
        yield f"rounded inputs {number}", partial(_on_rounded, functions, values, seed * 1009 + number), ROUNDED_REACH
    cut = [name for name, value in values.items() if _is_float32(value)] if functions.tf32 else []
    for names in ([cut] if len(cut) > 1 else []) + [[name] for name in cut]:
        yield f"{', '.join(names)} cut", partial(_on_cut, functions, values, names), CUT_REACH


def _called(function: Callable[..., Any], values: Mapping[str, Any]) -> Any:
    return function(*[copied(v) for v in values.values()])


def _on_rounded(functions: Functions, values: Mapping[str, Any], seed: int) -> Any:
    return functions.reference(*_rounded(functions, values, seed))


def _on_cut(functions: Functions, values: Mapping[str, Any], names: Collection[str]) -> Any:
    return functions.reference(*lifted({k: _cut(v) if k in names else v for k, v in values.items()}).values())


def _rounded(functions: Functions, values: Mapping[str, Any], seed: int) -> list[Any]:
    """Return lifted inputs with one random rounding each."""
    moved = lifted(values)
    for name, value in moved.items():
        if _floating(value):
            generator = torch.Generator(value.device).manual_seed(seed)
            size = TF32_ROUNDING if functions.tf32 and _is_float32(values[name]) else ROUNDING
            noise = torch.rand(value.shape, generator=generator, device=value.device, dtype=torch.float32)
            moved[name] = value.mul_(noise.round_().mul_(2).sub_(1).double().mul_(size).add_(1))
    return list(moved.values())


def _cut(value: torch.Tensor) -> torch.Tensor:
    """Cut off the 13 bits of every float32 that tf32 does not have."""
    return (value.view(torch.int32) & -(1 << 13)).view(torch.float32)


def _is_float32(value: Any) -> bool:
    return isinstance(value, torch.Tensor) and value.dtype == torch.float32


def _yardstick(truth: torch.Tensor, dtype: str, bank: list[_Spread], trial: Trial) -> Yardstick:
    """Set every limit on one output."""
    shape = tuple(truth.shape)
    if dtype not in EPSILON or not truth.numel():
        empty = truth.new_zeros(0, dtype=torch.float64)
        kept = truth.double() if dtype in EPSILON else truth.long()
        return Yardstick(dtype, shape, kept.contiguous(), 0.0, 0.0, empty, empty, trial.exact, 0.0, 0.0, 0.0)
    real = [m for m in bank if m.reach is None]
    if not real:
        raise ValueError("no implementation of the task gives finite results where the float64 truth is finite")
    epsilon, tiny = EPSILON[dtype], TINY[dtype]
    factor = 2.0 if dtype in ("float32", "float64") else 1.5
    mean_floor, most_floor = (epsilon * f for f in FLOORS[dtype])
    truth = truth.contiguous()
    size = torch.nan_to_num(truth, 0.0, 0.0, 0.0).abs_().reshape(-1, shape[-1] if shape else 1)
    largest, mean_size = float(size.max()), float(size.mean())
    squares = size.square_().mean(dim=1)
    scale = math.sqrt(float(squares.mean()))
    rows = _most([m.errors.rows for m in bank])
    # a small element beside large ones: what its row's inputs allow, and the real members' own mean rounding there
    most = _most([m.errors.rows for m in real])
    # what a member errs beyond the best is a sum of roundings: the largest of millions is six times their mean
    excess = most - torch.stack([m.errors.rows for m in real]).amin(dim=0)
    # and where one large term rules an element of a row, its one rounding is no sum: no mean of the row shows it
    allowed = torch.maximum(4 * (most + excess), SINGLE * _most([m.errors.most for m in real]))
    moved = [m.reach * m.errors.most for m in bank if m.reach is not None]
    if moved:
        allowed = allowed + _most(moved)
    return Yardstick(
        dtype=dtype,
        shape=shape,
        truth=truth,
        # of few elements the mean is hardly steadier than the largest, and members may all have been lucky at once
        whole=factor * (1 + 3 / truth.numel()) * max(m.errors.whole for m in bank) + mean_floor * scale + tiny,
        peak=4 * factor * max(m.errors.peak for m in bank) + most_floor * largest + tiny,
        rows=2 * factor * (1 + 1 / size.shape[1]) * rows + most_floor * squares.sqrt() + tiny,
        allowed=allowed,
        exact=trial.exact,
        # the elements of a row share its statistics' errors, so it is rows that are independent, where there are many
        noise=4 * max(m.errors.whole for m in bank) / math.sqrt(len(rows) if len(rows) > 1 else truth.numel()),
        floor=2 * max(abs(m.errors.mean) for m in bank)
        + (0.5 * epsilon + mean_floor / math.sqrt(len(rows))) * mean_size
        + tiny,
        scale=scale,
        misrounded=trial.misrounded if EPSILON[dtype] > EPSILON["float32"] else None,
    )


def _most(members: list[torch.Tensor]) -> torch.Tensor:
    """Return the largest of each row over the members."""
    return torch.stack(members).amax(dim=0)


def _difference(one: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    """Return signed errors; where both are the same infinity or both NaN there is none."""
    error = one - truth
    return error.masked_fill_((one == truth) | (one.isnan() & truth.isnan()), 0.0)


def _overflowed(truth: torch.Tensor, dtype: str) -> torch.Tensor:
    """Put infinities where the truth of a float is beyond the dtype's range by more than a rounding."""
    if dtype not in EPSILON or not truth.numel():
        return truth
    limit = LARGEST[dtype] * (1 + EPSILON[dtype] / 4)
    low, high = torch.stack(truth.aminmax()).tolist()
    if low >= -limit and high <= limit:
        return truth  # the rule: and three copies of it are saved, which counts at 2^31 elements
    return torch.where(truth.abs() > limit, torch.copysign(torch.full_like(truth, math.inf), truth), truth)


def _dtype(tensor: torch.Tensor) -> str:
    """Return a dtype's name, or refuse it."""
    name = str(tensor.dtype).removeprefix("torch.")
    if name not in ITEM_BYTES or name.startswith("float8"):
        raise ValueError(f"the reference returns {name}, which cannot be judged yet")
    return name
