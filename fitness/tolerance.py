"""Decides whether outputs are right: their error against a float64 truth, beside limits that no candidate moves.

The limits (a Yardstick, made by fitness.yardstick) are multiples of what a bank of honest implementations makes of
the same inputs, plus a rounding of the output. There is no absolute constant and no share of elements that may be
wrong: the global, per-row, largest and per-element errors must all hold, and the signed error pooled over a case's
trials. Non-finite values must be where the truth has them. Integers must be equal, and floats too where a trial is
exact and the truth is a number the dtype has. Where a task says that sums are exact, all but a share of the elements
must be the truth rounded once: a second rounding is no larger than the last one, so no limit on errors tells it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from fitness import discrepancy

_NUMPY = {
    "float64": "f8", "float32": "f4", "float16": "f2", "int64": "i8", "int32": "i4", "int16": "i2", "int8": "i1",
    "uint8": "u1", "bool": "?",
}  # fmt: skip
# unit in the last place at 1.0, and what any result may be off near 0: float16's smallest step; elsewhere the smallest
# normal number, for GPUs may take what is below it for 0
EPSILON = {"float64": 2.0**-52, "float32": 2.0**-23, "float16": 2.0**-10, "bfloat16": 2.0**-7}
TINY = {"float64": 2.0**-1022, "float32": 2.0**-126, "float16": 2.0**-24, "bfloat16": 2.0**-126}
LARGEST = {"float64": 1.7e308, "float32": 3.4028235e38, "float16": 65504.0, "bfloat16": 3.3895314e38}
# Roundings of itself that every single element may be off, beside what its row's inputs allow. A 16-bit result is
# rounded once; a float32 result was rounded at every step of its sum, and n steps after its largest term err by
# 0.3 sqrt(n) of them in the mean: one in a thousand passes 60 where 4096 follow.
ROUNDINGS = {"float16": 8, "bfloat16": 8, "float32": 64, "float64": 64}

FEW = 4  # elements that chance may round otherwise, beside a task's share: of one element that is none or all
EXPONENT = 0x7FF << 52  # of a float64; what has these bits alone is a power of two


@dataclass(frozen=True, slots=True)
class Yardstick:
    """What one output must be, and every limit on its error. The arrays are numpy's or torch's, on any device.

    Rows run along the last dimension. A float output is right if its error's root mean square is at most `whole`,
    its largest error `peak`, each row's root mean square that row's `rows`, and each element's error ROUNDINGS
    roundings of itself plus its row's `allowed`.
    """

    dtype: str
    shape: tuple[int, ...]
    truth: Any  # float64 with infinities where the dtype overflows; int64 for integers; a contiguous array
    whole: float
    peak: float
    rows: Any  # one for each row
    allowed: Any  # one for each row
    exact: bool
    noise: float  # what chance makes of the mean signed error
    floor: float  # the mean signed error that honest rounding may have
    scale: float  # root mean square of the truth
    misrounded: float | None = None  # the share of elements that may be other than the truth rounded once

    @property
    def relative(self) -> float:
        """What each element may be off in parts of itself."""
        return ROUNDINGS[self.dtype] * EPSILON[self.dtype]

    @property
    def figures(self) -> tuple[float, ...]:
        """The limits in a few numbers, to tell whether they moved."""
        rows = (float(self.rows.max()), float(self.allowed.max())) if len(self.rows) else (0.0, 0.0)
        share = () if self.misrounded is None else (self.misrounded,)
        return (self.whole, self.peak, *rows, self.noise, self.floor, *share)

    def excess(self, count: float, size: int) -> float:
        """Return how many elements are other than the truth rounded once, over how many of so many may be."""
        return 0.0 if self.misrounded is None else count / (self.misrounded * size + FEW)

    def told(self, count: float, size: int) -> str:
        """Say that too many are."""
        return (
            f"{100 * count / size:.3g}% of elements are not the correctly rounded result where sums are exact "
            f"({100 * (self.misrounded or 0):g}% may be otherwise), so something is rounded before the end"
        )


@dataclass(frozen=True, slots=True)
class Verdict:
    """`ratio` is the largest error over its limit: at most 1.0 passes. `complaint` says what is wrong."""

    ratio: float
    kind: str = ""
    complaint: str = ""
    means: tuple[float, ...] = ()  # mean signed error of each output


def pack(yardstick: Yardstick) -> list[Any]:
    """Turn a yardstick of numpy arrays into plain data for the wire."""
    y = yardstick
    arrays = [a.tobytes() for a in (y.truth, y.rows, y.allowed)]
    return [y.dtype, y.shape, arrays, [y.whole, y.peak, y.noise, y.floor, y.scale], y.exact, y.misrounded]


def unpack(plain: Any) -> Yardstick:
    """Rebuild what `pack` made."""
    dtype, shape, (truth, rows, allowed), (whole, peak, noise, floor, scale), exact, share = plain
    values = np.frombuffer(truth, np.float64 if dtype in EPSILON else np.int64).reshape(tuple(shape))
    limits = np.frombuffer(rows, np.float64), np.frombuffer(allowed, np.float64)
    return Yardstick(dtype, tuple(shape), values, whole, peak, *limits, exact, noise, floor, scale, share)


def compare(outputs: Any, wanted: Sequence[Yardstick], poisons: Mapping[str, float] | None = None) -> Verdict:
    """Judge all outputs of one trial; the first complaint wins. `poisons`: what memory held before, by dtype."""
    if len(outputs) != len(wanted):
        return Verdict(np.inf, "schema", f"expected {len(wanted)} output(s), got {len(outputs)}")
    worst = 0.0
    means: list[float] = []
    for number, ((dtype, shape, data), want) in enumerate(zip(outputs, wanted, strict=True)):
        verdict = _compare_one(dtype, tuple(shape), data, want, poisons or {})
        if verdict.complaint:
            where = f"output {number}: " if len(wanted) > 1 else ""
            return Verdict(verdict.ratio, verdict.kind, where + verdict.complaint)
        worst = max(worst, verdict.ratio)
        means += verdict.means
    return Verdict(worst, means=tuple(means))


def pooled(trials: Sequence[tuple[float, Yardstick]]) -> Verdict:
    """Judge the mean signed errors of one output in all trials of a case, each in units of its truth."""
    told = [(mean, y) for mean, y in trials if y.scale > 0]
    if not told:
        return Verdict(0.0)
    bias = abs(sum(mean / y.scale for mean, y in told))
    chance = sum((y.noise / y.scale) ** 2 for _, y in told) ** 0.5
    ratio = bias / max(chance + sum(y.floor / y.scale for _, y in told), 1e-300)
    if ratio <= 1.0:
        return Verdict(ratio)
    drift = bias / len(told)
    return Verdict(ratio, "wrong", f"results are off in one direction: by {drift:.3g} of their size in the mean, "
                   f"{ratio:.3g} times what honest rounding does")  # fmt: skip


def _compare_one(
    dtype: str, shape: tuple[int, ...], data: bytes, want: Yardstick, poisons: Mapping[str, float]
) -> Verdict:
    """Judge one output: schema, then values."""
    if (dtype, shape) != (want.dtype, want.shape):
        got, expected_text = f"{dtype} {list(shape)}", f"{want.dtype} {list(want.shape)}"
        return Verdict(np.inf, "schema", f"expected {expected_text}, got {got}")
    values = decode(data, dtype).reshape(shape)
    if not values.size:
        return Verdict(0.0, means=(0.0,))
    truth = want.truth

    def complain(ratio: float, what: str, wrong: np.ndarray) -> Verdict:
        return Verdict(
            ratio, "wrong", f"{what}: {discrepancy.describe(wrong, values, truth, dict(poisons).get(dtype))}"
        )

    if dtype not in EPSILON:
        wrong = values.astype(np.int64) != truth
        return complain(np.inf, "integers differ", wrong) if wrong.any() else Verdict(0.0, means=(0.0,))
    strange = ~_same_kind(values, truth)
    if strange.any():
        return complain(np.inf, "not finite where it should be, or finite where it should not", strange)
    finite = np.isfinite(truth)
    error = np.where(finite, values - np.where(finite, truth, 0.0), 0.0)
    if want.exact:
        wrong = (error != 0) & (round_to(truth, dtype) == truth)
        if wrong.any():
            return complain(np.inf, "not exact, and for these inputs every result can be", wrong)
    verdict = _within(error, np.where(finite, np.abs(truth), 0.0), want, complain)
    if want.misrounded is None:
        return verdict
    missed = misrounded(np.abs(error), np.where(finite, np.abs(truth), 0.0), dtype, (np.int64, np.float64))
    count = int(missed.sum())
    excess = want.excess(count, missed.size)
    if excess > 1.0 and not verdict.complaint:
        return complain(excess, want.told(count, missed.size), missed)
    return replace(verdict, ratio=max(verdict.ratio, excess))


def _within(error: np.ndarray, size: np.ndarray, want: Yardstick, complain: Any) -> Verdict:
    """Compare the global, per-row, largest and per-element error with their limits."""
    width = size.shape[-1] if size.ndim else 1
    off, size = np.abs(error).reshape(-1, width), size.reshape(-1, width)
    limits = want.relative * size + want.allowed[:, None] + TINY[want.dtype]
    single = off / limits
    rows = np.sqrt(np.mean(np.square(off), axis=1)) / want.rows
    checks = {
        "single elements": (float(single.max()), single > 1.0),
        "the mean error of a row": (float(rows.max()), np.broadcast_to(rows[:, None] > 1.0, off.shape)),
        "the largest error": (float(off.max()) / want.peak, off > want.peak),
        "the mean error": (float(np.sqrt(np.mean(np.square(off)))) / want.whole, off >= off.max()),
    }
    ratio = max(r for r, _ in checks.values())
    if ratio <= 1.0:
        return Verdict(ratio, means=(float(error.mean()),))
    name = max(checks, key=lambda k: checks[k][0]) if checks["single elements"][0] <= 1.0 else "single elements"
    own, wrong = checks[name]
    verdict: Verdict = complain(ratio, f"{name} is {own:.3g} times the limit".replace("elements is", "elements are"),
                                wrong.reshape(error.shape))  # fmt: skip
    return verdict


def misrounded(off: Any, size: Any, dtype: str, kinds: tuple[Any, Any]) -> Any:
    """Tell which elements are farther than half a step of a dtype from truths of these sizes: no rounding goes so far.

    Arrays of numpy's or torch's, whose int64 and float64 `kinds` are. Truths of 0 are left out: terms that cancel out
    leave there what honest programs round on the way.
    """
    power = (size.view(kinds[0]) & EXPONENT).view(kinds[1])
    return (off > (power * (EPSILON[dtype] / 2)).clip(TINY[dtype])) & (size != 0)


def decode(data: bytes, dtype: str) -> np.ndarray:
    """Read raw bytes as float64 values (integers stay integers)."""
    if dtype == "bfloat16":
        return (np.frombuffer(data, "<u2").astype(np.uint32) << 16).view(np.float32).astype(np.float64)
    raw = np.frombuffer(data, _NUMPY[dtype])
    return raw.astype(np.float64) if raw.dtype.kind == "f" else raw


def round_to(values: np.ndarray, dtype: str) -> np.ndarray:
    """Cut float64 values to numbers that the dtype has."""
    with np.errstate(over="ignore"):
        if dtype == "bfloat16":
            bits = values.astype(np.float32).view(np.uint32) & np.uint32(0xFFFF0000)
            rounded = np.where(values == values.astype(np.float32), bits.view(np.float32), np.nan)
            return rounded.astype(np.float64)
        return values.astype(_NUMPY[dtype]).astype(np.float64)


def _same_kind(values: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Tell where both are finite, both NaN, or the same infinity."""
    both: np.ndarray = (
        (np.isfinite(values) & np.isfinite(truth)) | (np.isnan(values) & np.isnan(truth)) | (values == truth)
    )
    return both
