"""Machine code and how to launch it: what the compile jail gives and the bench loads; plain data in between."""

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from fitness.plan import Launch, Pointer, leaves

_FORMATS = {
    "i1": "<b", "i8": "<b", "i16": "<h", "i32": "<i", "i64": "<q", "u1": "<B", "u8": "<B", "u16": "<H", "u32": "<I",
    "u64": "<Q", "fp32": "<f", "f32": "<f", "fp64": "<d", "fp16": "<e",
}  # fmt: skip


class BadPlan(ValueError):
    """A plan whose launches do not fit the machine code: only a forged one can be so."""

    step: int | None = None  # its place among the plans that were given together


@dataclass(frozen=True, slots=True)
class MachineCode:
    """One compiled kernel. `parameters` are the sizes in bytes of what a launch passes, scratch pointers last."""

    symbol: str
    binary: bytes
    threads: int  # of one block
    shared: int  # bytes of LDS or shared memory
    ctas: int  # blocks of one program
    cooperative: bool
    scratch: tuple[int, int]  # bytes one block needs of global and of profile scratch
    parameters: tuple[int, ...]

    def plain(self) -> list[Any]:
        """Return plain data for the wire."""
        return [getattr(self, n) for n in self.__slots__]


def unpack(plain: Any) -> MachineCode:
    """Rebuild machine code from `plain`."""
    symbol, binary, threads, shared, ctas, cooperative, scratch, parameters = plain
    return MachineCode(symbol, binary, threads, shared, ctas, cooperative, tuple(scratch), tuple(parameters))


def arguments(launch: Launch, code: MachineCode, bases: Sequence[int], scratch: Sequence[int]) -> list[bytes]:
    """Encode a launch's arguments as the machine code wants them; `bases` are the addresses of the plan's buffers."""
    types = dict(launch.chosen.kernel.signature)
    passed = [pair for name, value in launch.arguments for pair in zip(leaves(value), leaves(types[name]), strict=True)]
    encoded = [_encode(value, kind, bases) for value, kind in passed if kind != "constexpr"]
    encoded += [struct.pack("<Q", address) for address in scratch[: len(code.parameters) - len(encoded)]]
    if [len(e) for e in encoded] != list(code.parameters):
        raise BadPlan(
            f"kernel {code.symbol} takes {code.parameters} bytes, the plan passes {[len(e) for e in encoded]}"
        )
    return encoded


def _encode(value: Any, kind: str, bases: Sequence[int]) -> bytes:
    if isinstance(value, Pointer):
        return struct.pack("<Q", bases[value.buffer] + value.offset)
    if kind == "bf16":
        return struct.pack("<f", value)[2:]
    try:
        return struct.pack(_FORMATS[kind], int(value) if kind[0] in "iu" else value)
    except (struct.error, KeyError, TypeError, OverflowError) as error:
        raise BadPlan(f"{value!r} cannot be passed as {kind}: {error}") from error
