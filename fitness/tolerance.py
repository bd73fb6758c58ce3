"""Decides whether outputs are right: their error against a float64 truth, beside the errors of honest arithmetic.

Every limit is a multiple of what the bank (the eager implementation in the output's dtype, and exact arithmetic on
inputs rounded once in float32) makes of the same inputs, plus a rounding of the output. There is no absolute
constant and no share of elements that may be wrong: the global, per-row, largest and per-element errors must all
hold. Non-finite values must be where the truth has them. Integers
must be equal.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

_NUMPY = {
    "float64": "f8", "float32": "f4", "float16": "f2", "int64": "i8", "int32": "i4", "int16": "i2", "int8": "i1",
    "uint8": "u1", "bool": "?",
}  # fmt: skip
# unit in the last place at 1.0, and the smallest step near 0
_EPSILON = {"float64": 2.0**-52, "float32": 2.0**-23, "float16": 2.0**-10, "bfloat16": 2.0**-7}
_TINY = {"float64": 2.0**-1074, "float32": 2.0**-149, "float16": 2.0**-24, "bfloat16": 2.0**-133}
_LARGEST = {"float64": 1.7e308, "float32": 3.4028235e38, "float16": 65504.0, "bfloat16": 3.3895314e38}


@dataclass(frozen=True, slots=True)
class Expected:
    """What one output must be: its schema, the truth, and the errors of the bank (member, *shape)."""

    dtype: str
    shape: tuple[int, ...]
    truth: np.ndarray
    bank: np.ndarray


@dataclass(frozen=True, slots=True)
class Verdict:
    """`ratio` is the largest error over its limit: at most 1.0 passes. `complaint` says what is wrong."""

    ratio: float
    kind: str = ""
    complaint: str = ""


def expected(plain: Any) -> Expected:
    """Rebuild what the truth job sent."""
    dtype, shape, truth, bank = plain
    shape = tuple(shape)
    values = np.frombuffer(truth, np.float64).reshape(shape)
    return Expected(dtype, shape, values, np.frombuffer(bank, np.float64).reshape(-1, *shape))


def compare(outputs: Any, wanted: tuple[Expected, ...]) -> Verdict:
    """Judge all outputs of one case; the first complaint wins."""
    if len(outputs) != len(wanted):
        return Verdict(np.inf, "schema", f"expected {len(wanted)} output(s), got {len(outputs)}")
    worst = Verdict(0.0)
    for number, ((dtype, shape, data), want) in enumerate(zip(outputs, wanted, strict=True)):
        verdict = _compare_one(dtype, tuple(shape), data, want)
        if verdict.complaint:
            where = f"output {number}: " if len(wanted) > 1 else ""
            return Verdict(verdict.ratio, verdict.kind, where + verdict.complaint)
        worst = max(worst, verdict, key=lambda v: v.ratio)
    return worst


def _compare_one(dtype: str, shape: tuple[int, ...], data: bytes, want: Expected) -> Verdict:
    """Judge one output: schema, then values."""
    if (dtype, shape) != (want.dtype, want.shape):
        got, expected_text = f"{dtype} {list(shape)}", f"{want.dtype} {list(want.shape)}"
        return Verdict(np.inf, "schema", f"expected {expected_text}, got {got}")
    values = decode(data, dtype).reshape(shape)
    if not values.size:
        return Verdict(0.0)
    if dtype not in _EPSILON:
        return _exact(values, want.truth)
    truth = _overflowed(want.truth, dtype)
    strange = ~_same_kind(values, truth)
    if strange.any():
        return Verdict(np.inf, "wrong", "not finite where it should be, or finite where it should not: "
                       + _first(strange, values, truth))  # fmt: skip
    finite = np.isfinite(truth)
    error = np.where(finite, values - np.where(finite, truth, 0.0), 0.0)
    scale = np.where(finite, truth, 0.0)
    return _within(error, scale, np.where(finite, want.bank, 0.0), values, dtype)


def _within(error: np.ndarray, truth: np.ndarray, bank: np.ndarray, values: np.ndarray, dtype: str) -> Verdict:
    """Compare the global, per-row and largest error with the bank's."""
    epsilon, tiny = _EPSILON[dtype], _TINY[dtype]
    factor = 2.0 if dtype in ("float32", "float64") else 1.5
    whole = _rms(error) / (factor * max(_rms(b) for b in bank) + 0.5 * epsilon * _rms(truth) + tiny)
    rows, bank_rows = _rows(error), np.max([_rows(b) for b in bank], axis=0)
    per_row = rows / (2 * factor * bank_rows + 2 * epsilon * _rows(truth) + tiny)
    limit = 4 * factor * np.abs(bank).max() + 2 * epsilon * np.abs(truth).max() + tiny
    peak = np.abs(error).max() / limit
    single = _elements(error, truth, bank, epsilon, tiny)
    ratio = float(max(whole, per_row.max(), peak, single.max()))
    if ratio <= 1.0:
        return Verdict(ratio)
    bad = single > 1.0 if single.max() > 1.0 else np.abs(error) == np.abs(error).max()
    where = _first(bad, values, truth)
    return Verdict(
        ratio, "wrong", f"error is {ratio:.3g} times the limit, {int(bad.sum())} elements stand out: {where}"
    )


def _elements(error: np.ndarray, truth: np.ndarray, bank: np.ndarray, epsilon: float, tiny: float) -> np.ndarray:
    """Return every element's error over its own limit: a few roundings of itself, and what its row's inputs allow.

    Without this a small element could be left out beside large ones. bank[0] is the eager implementation, whose
    own rounding of each element counts by its row's mean; the others carry errors of the inputs alone.
    """
    width = truth.shape[-1] if truth.ndim else 1
    moved = np.abs(bank[1:]).max(axis=0) if len(bank) > 1 else np.zeros_like(truth)
    allowed = 16 * moved.reshape(-1, width).max(axis=1) + 4 * _rows(bank[0])
    limits = 8 * epsilon * np.abs(truth).reshape(-1, width) + allowed[:, None] + tiny
    ratios: np.ndarray = (np.abs(error).reshape(-1, width) / limits).reshape(truth.shape)
    return ratios


def decode(data: bytes, dtype: str) -> np.ndarray:
    """Read raw bytes as float64 values (integers stay integers)."""
    if dtype == "bfloat16":
        return (np.frombuffer(data, "<u2").astype(np.uint32) << 16).view(np.float32).astype(np.float64)
    raw = np.frombuffer(data, _NUMPY[dtype])
    return raw.astype(np.float64) if raw.dtype.kind == "f" else raw


def _exact(values: np.ndarray, truth: np.ndarray) -> Verdict:
    wrong = values.astype(np.float64) != truth
    if not wrong.any():
        return Verdict(0.0)
    return Verdict(
        np.inf, "wrong", f"{int(wrong.sum())} of {wrong.size} integers differ: {_first(wrong, values, truth)}"
    )


def _overflowed(truth: np.ndarray, dtype: str) -> np.ndarray:
    """Put infinities where the truth is beyond the dtype's range by more than a rounding."""
    limit = _LARGEST[dtype] * (1 + _EPSILON[dtype] / 4)
    return np.where(np.abs(truth) > limit, np.copysign(np.inf, truth), truth)


def _same_kind(values: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Tell where both are finite, both NaN, or the same infinity."""
    both: np.ndarray = (
        (np.isfinite(values) & np.isfinite(truth)) | (np.isnan(values) & np.isnan(truth)) | (values == truth)
    )
    return both


def _rms(values: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(values))))


def _rows(values: np.ndarray) -> np.ndarray:
    """Return the root mean square along the last dimension."""
    width = values.shape[-1] if values.ndim else 1
    rows: np.ndarray = np.sqrt(np.mean(np.square(values.reshape(-1, width)), axis=1))
    return rows


def _first(wrong: np.ndarray, values: np.ndarray, truth: np.ndarray) -> str:
    """Name the first wrong element with what was expected and what came."""
    place = tuple(int(i) for i in np.argwhere(wrong)[0]) if wrong.ndim else ()
    return f"at {list(place)} expected {float(truth[place]):.7g}, got {float(values[place]):.7g}"
