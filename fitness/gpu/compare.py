"""Holds an output on the device against its yardstick: the rule of fitness.tolerance, where the data already is.

One pass of a kernel of our own reads the output and the truth once; the same in torch's operations takes ten times as
long, and a candidate is compared some thirty times.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
import triton
import triton.language as tl
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from fitness.tolerance import EPSILON, EXPONENT, TINY, Yardstick, misrounded
from fitness.yardstick import Errors

TILE = 1024  # elements one program looks at in one step: more would not fit into registers
STEPS = 16  # of one program along a row
WORDS = 4096  # of eight bytes that one program compares in one step
SPREAD = 512  # programs that share the bytes of one pair
MOST_PROGRAMS = 32768  # along a row
FIGURES = 5  # of one output
NARROW = (16, 256)  # tiles of few forms: each one is compiled, which takes half a second
EXPONENT_BITS = tl.constexpr(EXPONENT)


@dataclass(frozen=True, slots=True)
class Found:
    """`ratio` is the largest error over its limit; at most 1.0 passes."""

    ratio: float
    strange: int = 0  # elements finite where they should not be, or the other way round
    inexact: int = 0  # elements that differ although the result can be represented
    missed: int = 0  # elements that are not the truth rounded once, where they are too many


@triton.jit(do_not_specialize=["rows", "width", "steps"])  # one compilation for all shapes
def _figures(out_ptr, truth_ptr, allowed_ptr, squares_ptr, worst_ptr, rows, width, steps, relative, tiny,
             half, R: tl.constexpr, C: tl.constexpr, ONCE: tl.constexpr):  # fmt: skip
    row = tl.program_id(0).to(tl.int64) * R + tl.arange(0, R)
    first = tl.program_id(1).to(tl.int64) * C * steps
    last = tl.minimum(first + C * steps, width)
    allowed = tl.load(allowed_ptr + row, mask=row < rows, other=1.0)
    squares = tl.zeros((R, C), tl.float64)
    peak = tl.zeros((R, C), tl.float64)
    single = tl.zeros((R, C), tl.float64)
    strange = tl.zeros((R, C), tl.int32)
    inexact = tl.zeros((R, C), tl.int32)
    missed = tl.zeros((R, C), tl.int32)
    for start in range(first, last, C):
        col = start + tl.arange(0, C)
        mask = (row < rows)[:, None] & (col < width)[None, :]
        place = row[:, None] * width + col[None, :]
        raw = tl.load(out_ptr + place, mask=mask, other=0.0)
        truth = tl.load(truth_ptr + place, mask=mask, other=0.0).to(tl.float64)
        value = raw.to(tl.float64)
        finite = (value - value == 0.0) & (truth - truth == 0.0)
        same = finite | (value == truth) | ((value != value) & (truth != truth))
        error = tl.where(finite, tl.abs(value - truth), 0.0)
        squares += error * error
        peak = tl.maximum(peak, error)
        limit = tl.where(finite, tl.abs(truth), 0.0) * relative + allowed[:, None] + tiny
        single = tl.maximum(single, error / limit)
        strange += (~same).to(tl.int32)
        rounded = truth  # through float32: what can be represented comes out as it went in
        if raw.dtype != tl.float64:
            rounded = truth.to(tl.float32).to(raw.dtype).to(tl.float64)
        inexact += ((error != 0.0) & (rounded == truth)).to(tl.int32)
        if ONCE:
            power = (truth.to(tl.int64, bitcast=True) & EXPONENT_BITS).to(tl.float64, bitcast=True)
            missed += (finite & (truth != 0.0) & (error > tl.maximum(power * half, tiny))).to(tl.int32)
    place = tl.program_id(1).to(tl.int64) * rows + row
    tl.store(squares_ptr + place, tl.sum(squares, 1), mask=row < rows)
    program = tl.program_id(1).to(tl.int64) * tl.num_programs(0) + tl.program_id(0)
    tl.store(worst_ptr + program * 5 + 0, tl.max(tl.max(peak, 1), 0))
    tl.store(worst_ptr + program * 5 + 1, tl.max(tl.max(single, 1), 0))
    tl.store(worst_ptr + program * 5 + 2, tl.sum(tl.sum(strange, 1), 0).to(tl.float64))
    tl.store(worst_ptr + program * 5 + 3, tl.sum(tl.sum(inexact, 1), 0).to(tl.float64))
    tl.store(worst_ptr + program * 5 + 4, tl.sum(tl.sum(missed, 1), 0).to(tl.float64))


def figures(output: torch.Tensor, want: Yardstick) -> torch.Tensor:
    """Return five numbers on the device; the limits are those of tolerance.compare.

    They are the ratio of mean errors, whole or of a row, to their limits; that of the largest error and of single
    elements; the number of strange elements; the number of inexact ones; where that is asked, the number of those that
    are not the truth rounded once.
    """
    if not output.numel():
        return torch.zeros(FIGURES, dtype=torch.float64, device=output.device)
    if want.dtype not in EPSILON:
        wrong = (output.long() != want.truth).sum().double()
        return torch.stack([wrong * 0, wrong * 0, wrong * 0, wrong, wrong * 0])
    width = want.shape[-1] if want.shape else 1
    rows = output.numel() // width
    height, columns, steps, grid = _tiles(rows, width)
    squares = torch.empty((grid[1], rows), dtype=torch.float64, device=output.device)
    worst = torch.empty((grid[0] * grid[1], FIGURES), dtype=torch.float64, device=output.device)
    _figures[grid](
        output, want.truth, want.allowed, squares, worst, rows, width, steps, want.relative,
        TINY[want.dtype], EPSILON[want.dtype] / 2, R=height, C=columns, ONCE=want.misrounded is not None, num_warps=4,
    )  # fmt: skip
    mean = squares.sum(0) / width
    average = torch.maximum(mean.mean().sqrt() / want.whole, (mean.sqrt() / want.rows).max())
    peak, single = worst[:, :2].amax(0)
    return torch.cat([torch.stack([average, torch.maximum(peak / want.peak, single)]), worst[:, 2:].sum(0)])


@triton.jit(do_not_specialize=["rows", "width", "steps"])
def _errors(out_ptr, truth_ptr, sums_ptr, rows, width, steps, R: tl.constexpr, C: tl.constexpr):
    row = tl.program_id(0).to(tl.int64) * R + tl.arange(0, R)
    first = tl.program_id(1).to(tl.int64) * C * steps
    last = tl.minimum(first + C * steps, width)
    squares = tl.zeros((R, C), tl.float64)
    peak = tl.zeros((R, C), tl.float64)
    signed = tl.zeros((R, C), tl.float64)
    for start in range(first, last, C):
        col = start + tl.arange(0, C)
        mask = (row < rows)[:, None] & (col < width)[None, :]
        place = row[:, None] * width + col[None, :]
        value = tl.load(out_ptr + place, mask=mask, other=0.0).to(tl.float64)
        truth = tl.load(truth_ptr + place, mask=mask, other=0.0)
        same = (value == truth) | ((value != value) & (truth != truth))
        error = tl.where(same, 0.0, value - truth)
        squares += error * error
        peak = tl.maximum(peak, tl.abs(error))
        signed += error
    place = tl.program_id(1).to(tl.int64) * rows + row
    plane = tl.num_programs(1).to(tl.int64) * rows
    tl.store(sums_ptr + place, tl.sum(squares, 1), mask=row < rows)
    tl.store(sums_ptr + plane + place, tl.max(peak, 1), mask=row < rows)
    tl.store(sums_ptr + 2 * plane + place, tl.sum(signed, 1), mask=row < rows)


def errors(output: torch.Tensor, truth: torch.Tensor) -> Errors:
    """Measure an output against its truth: what yardstick.errors does, in one pass over both."""
    width = truth.shape[-1] if truth.dim() else 1
    rows = truth.numel() // width
    given = (output if output.dtype in (torch.float32, torch.float64) else output.float()).contiguous()
    height, columns, steps, grid = _tiles(rows, width)
    sums = torch.empty((3, grid[1], rows), dtype=torch.float64, device=truth.device)
    _errors[grid](given, truth.contiguous(), sums, rows, width, steps, R=height, C=columns, num_warps=4)
    squares, most = sums[0].sum(0) / width, sums[1].amax(0)
    mean, whole, peak = torch.stack([sums[2].sum() / truth.numel(), squares.mean().sqrt(), most.max()]).tolist()
    return Errors(mean, whole, peak, squares.sqrt_(), most)


def narrowed(want: Yardstick) -> Yardstick:
    """Return a yardstick whose truth takes no more memory than it needs: what only moves data has one of few bits."""
    if not want.truth.numel():
        return want
    narrow = want.truth.to(getattr(torch, want.dtype))
    same = errors(narrow, want.truth).peak == 0.0 if want.dtype in EPSILON else bool((narrow == want.truth).all())
    return replace(want, truth=narrow) if same else want


def _tiles(rows: int, width: int) -> tuple[int, int, int, tuple[int, int]]:
    """Choose a tile's height and width, the steps of one program along a row, and the grid."""
    columns = next((c for c in NARROW if width <= c), TILE)
    height, steps = TILE // columns, max(STEPS, triton.cdiv(width, TILE * MOST_PROGRAMS))
    return height, columns, steps, (triton.cdiv(rows, height), triton.cdiv(width, columns * steps))


@triton.jit
def _differ(pairs_ptr, flags_ptr, BLOCK: tl.constexpr):
    pair = tl.program_id(0)
    one = tl.load(pairs_ptr + 3 * pair)
    other = tl.load(pairs_ptr + 3 * pair + 1)
    size = tl.load(pairs_ptr + 3 * pair + 2)
    words = tl.where((one | other) % 8 == 0, size // 8, 0)
    found = tl.zeros((BLOCK,), tl.int32)
    step = tl.num_programs(1).to(tl.int64) * BLOCK
    for start in range(tl.program_id(1).to(tl.int64) * BLOCK, words, step):
        place = start + tl.arange(0, BLOCK)
        left = tl.load(one.to(tl.pointer_type(tl.int64)) + place, mask=place < words, other=0)
        right = tl.load(other.to(tl.pointer_type(tl.int64)) + place, mask=place < words, other=0)
        found |= (left != right).to(tl.int32)
    for start in range(8 * words + tl.program_id(1).to(tl.int64) * BLOCK, size, step):
        place = start + tl.arange(0, BLOCK)
        left = tl.load(one.to(tl.pointer_type(tl.int8)) + place, mask=place < size, other=0)
        right = tl.load(other.to(tl.pointer_type(tl.int8)) + place, mask=place < size, other=0)
        found |= (left != right).to(tl.int32)
    if tl.max(found, 0) > 0:
        tl.store(flags_ptr + pair, 1.0)


def differ(pairs: list[tuple[torch.Tensor, torch.Tensor]], device: str) -> torch.Tensor:
    """Return 1 for each pair of equally long stretches of bytes that differ, else 0, without waiting for the device."""
    flags = torch.zeros(len(pairs), dtype=torch.float64, device=device)
    if pairs:
        table = torch.tensor([[a.data_ptr(), b.data_ptr(), a.numel()] for a, b in pairs], dtype=torch.int64)
        _differ[(len(pairs), SPREAD)](table.to(device), flags, BLOCK=WORDS, num_warps=8)
    return flags


def prepare(target: GPUTarget) -> None:
    """Compile one form without the device: Triton reads all of itself first, which names what it keeps."""
    aligned: dict[Any, Any] = {(n,): [["tt.divisibility", 16]] for n in range(2)}
    kinds = {"pairs_ptr": "*i64", "flags_ptr": "*fp64", "BLOCK": "constexpr"}
    triton.compile(ASTSource(_differ, kinds, {"BLOCK": WORDS}, aligned), target=target, options={"num_warps": 8})


def warm_up(device: str) -> None:
    """Compile every form of the comparison: half a second each, once on a machine."""
    zeros = torch.zeros(64, dtype=torch.uint8, device=device)
    differ([(zeros, zeros)], device)
    for width in (8, 64, TILE):
        truth = torch.zeros((2, width), dtype=torch.float64, device=device)
        errors(truth, truth)
        errors(truth.float(), truth)
        for dtype in ("float32", "float16", "bfloat16"):
            allowed = torch.ones(2, dtype=torch.float64, device=device)
            want = Yardstick(dtype, (2, width), truth, 1.0, 1.0, allowed, allowed, False, 0.0, 0.0, 0.0)
            output = truth.to(getattr(torch, dtype))
            for kept in (truth, output):
                figures(output, replace(want, truth=kept))


def found(numbers: list[float], want: Yardstick) -> Found:
    """Read the figures of one output."""
    average, single, strange, inexact, missed = numbers
    whole = want.dtype in EPSILON
    if strange or (inexact and (want.exact or not whole)):
        return Found(float("inf"), int(strange), int(inexact))
    excess = want.excess(missed, math.prod(want.shape))
    return Found(max(average, single, excess), missed=int(missed) if excess > 1.0 >= max(average, single) else 0)


def describe(found: Found, output: torch.Tensor, want: Yardstick) -> str:
    """Say what is wrong: where, what was expected, what came, and how many elements."""
    place, count = _first(found, output, want)
    index = [int(i) for i in torch.unravel_index(torch.tensor(place), want.shape)] if want.shape else []
    expected, got = float(want.truth.reshape(-1)[place]), float(output.reshape(-1)[place])
    where = f"at {index} expected {expected:.7g}, got {got:.7g}"
    if found.strange:
        return f"{found.strange} elements are not finite where they should be, or finite where not: {where}"
    if found.inexact:
        return f"{found.inexact} of {output.numel()} elements differ where the result is exact: {where}"
    if found.missed:
        return f"{want.told(found.missed, output.numel())}: {where}"
    return f"error is {found.ratio:.3g} times the limit, {count} of {output.numel()} elements stand out: {where}"


def _first(found: Found, output: torch.Tensor, want: Yardstick) -> tuple[int, int]:
    """Return the first wrong element and their number; the largest error where no element is wrong by itself."""
    width = want.shape[-1] if want.shape else 1
    values, truth = output.reshape(-1, width), want.truth.reshape(-1, width)
    step, first, count, largest = max(1, (1 << 23) // width), None, 0, (-1.0, 0)
    for start in range(0, values.shape[0], step):
        low, high = values[start : start + step].double(), truth[start : start + step].double()
        same = (low == high) | (low.isfinite() & high.isfinite()) | (low.isnan() & high.isnan())
        error = torch.where(low.isfinite() & high.isfinite(), (low - high).abs(), 0.0)
        if found.strange:
            bad = ~same
        elif want.dtype not in EPSILON or found.inexact:
            bad = error != 0
        elif found.missed:
            bad = misrounded(error, high.abs(), want.dtype, (torch.int64, torch.float64))
        else:
            bad = error > high.abs() * want.relative + want.allowed[start : start + step, None]
        here = int(bad.sum())
        if here and first is None:
            first = start * width + int(bad.reshape(-1).to(torch.uint8).argmax())
        count += here
        top = error.reshape(-1).max(0)
        largest = max(largest, (float(top.values), start * width + int(top.indices)))
    return (largest[1] if first is None else first), max(1, count)


def schema(wanted: Sequence[Yardstick], outputs: Any) -> str:
    """Say how outputs differ in number, dtype or shape from what they must be."""
    if len(outputs) != len(wanted):
        return f"expected {len(wanted)} output(s), got {len(outputs)}"
    for (_, dtype, shape), want in zip(outputs, wanted, strict=True):
        if (dtype, tuple(shape)) != (want.dtype, tuple(want.shape)):
            return f"expected {want.dtype} {list(want.shape)}, got {dtype} {list(shape)}"
    return ""


def read(views: list[torch.Tensor], wanted: list[Yardstick], numbers: list[float]) -> list[Any]:
    """Read the figures of all outputs, as kind, complaint and ratio; the first that is wrong is described."""
    worst = 0.0
    for number, (view, want) in enumerate(zip(views, wanted, strict=True)):
        one = found(numbers[FIGURES * number : FIGURES * (number + 1)], want)
        if one.ratio > 1.0:
            where = f"output {number}: " if len(views) > 1 else ""
            return ["wrong", where + describe(one, view, want), min(one.ratio, 1e30)]
        worst = max(worst, one.ratio)
    return ["", "", worst]
