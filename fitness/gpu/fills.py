"""The memory operations that stand for a filled allocation: `torch.full`, `torch.ones`, `zero_` and the like."""

import math
import struct
from collections.abc import Callable
from typing import Protocol

from fitness.gpu.machine_code import BadPlan
from fitness.plan import Buffer

_PATTERNS = {
    "float64": "<d", "float32": "<f", "float16": "<e",
    "int64": "<q", "int32": "<i", "int16": "<h", "int8": "<b", "uint8": "<B", "bool": "<?",
}  # fmt: skip
# of float8: bits of the fraction, the exponent's bias, and the byte of the largest finite number
_FLOAT8 = {"float8_e4m3fn": (3, 7, 0x7E), "float8_e5m2": (2, 15, 0x7B)}


class Memory(Protocol):
    """What a device can do with memory, in stream order; counts are of words, sizes of bytes."""

    def set8(self, address: int, value: int, size: int) -> None:
        """Fill bytes."""

    def set16(self, address: int, value: int, count: int) -> None:
        """Fill 16-bit words."""

    def set32(self, address: int, value: int, count: int) -> None:
        """Fill 32-bit words."""

    def copy(self, to: int, source: int, size: int) -> None:
        """Copy within the device."""


def step(gpu: Memory, buffer: Buffer, base: int) -> Callable[[], None]:
    """Return what fills a buffer that lies at an address."""
    pattern = element(buffer)
    size, word = len(pattern), int.from_bytes(pattern, "little")
    if not any(pattern):
        return lambda: gpu.set8(base, 0, buffer.bytes)
    if size == 8:
        return lambda: _fill64(gpu, base, pattern, buffer.bytes)
    fill = {1: gpu.set8, 2: gpu.set16, 4: gpu.set32}[size]
    return lambda: fill(base, word, buffer.bytes // size)


def element(buffer: Buffer) -> bytes:
    """Return the bytes of one element of a filled buffer."""
    value, kind = 0.0 if buffer.fill is None else buffer.fill, buffer.dtype
    if kind == "bfloat16":
        (bits,) = struct.unpack("<I", struct.pack("<f", value))
        return struct.pack("<H", (bits + 0x7FFF + (bits >> 16 & 1)) >> 16)  # to the nearest, as torch does
    if kind in _FLOAT8:
        return _float8(value, *_FLOAT8[kind])
    if kind not in _PATTERNS:
        raise BadPlan(f"an allocation of {kind} cannot be filled")
    code = _PATTERNS[kind]
    if not kind.startswith("float"):  # -1 of an unsigned kind wraps, as torch has it
        code, value = code.upper(), int(value) & ((1 << 8 * struct.calcsize(code)) - 1)
    return struct.pack(code, value)


def _float8(value: float, fraction: int, bias: int, largest: int) -> bytes:
    """Return the byte of the nearest number of a float8, the even one of two: what it holds in full or rounded."""

    def of(code: int) -> float:
        exponent, rest = code >> fraction, (code & (1 << fraction) - 1) / (1 << fraction)
        return math.ldexp(1 + rest, exponent - bias) if exponent else math.ldexp(rest, 1 - bias)

    if not abs(value) <= of(largest):
        raise BadPlan(f"no number of an allocation of 8-bit floats is {value}")
    code = min(range(largest + 1), key=lambda c: (abs(of(c) - abs(value)), c & 1))
    return bytes([code | (0x80 if math.copysign(1.0, value) < 0 else 0)])


def _fill64(gpu: Memory, base: int, pattern: bytes, size: int) -> None:
    """Fill 64-bit words, which no driver does by itself: two halves, then copies of twice the size each."""
    low, high = struct.unpack("<II", pattern)
    if low == high:
        gpu.set32(base, low, size // 4)
        return
    gpu.set32(base, low, 1)
    gpu.set32(base + 4, high, 1)
    done = 8
    while done < size:
        part = min(done, size - done)
        gpu.copy(base + done, base, part)
        done += part
