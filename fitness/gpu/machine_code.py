"""Machine code and how to launch it: what the compile jail gives and the bench loads; plain data in between."""

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from fitness.passed import Descriptor, Pointer, leaves
from fitness.plan import Launch

_FORMATS = {
    "i1": "<b", "i8": "<b", "i16": "<h", "i32": "<i", "i64": "<q", "u1": "<B", "u8": "<B", "u16": "<H", "u32": "<I",
    "u64": "<Q", "fp32": "<f", "f32": "<f", "fp64": "<d", "fp16": "<e",
}  # fmt: skip


class BadPlan(ValueError):
    """A plan whose launches do not fit the machine code: only a forged one can be so."""

    step: int | None = None  # its place among the plans that were given together


@dataclass(frozen=True, slots=True)
class MachineCode:
    """One compiled kernel. `parameters` are the sizes in bytes of what a launch passes, scratch pointers last.

    `descriptors` say of each tensor descriptor how the device wants it: swizzle, bytes and type of an element, block.
    There are none where a descriptor is passed in parts: as a pointer, its shape and its strides.
    """

    symbol: str
    binary: bytes
    threads: int  # of one block
    shared: int  # bytes of LDS or shared memory
    ctas: int  # blocks of one program
    cooperative: bool
    scratch: tuple[int, int]  # bytes one block needs of global and of profile scratch
    parameters: tuple[int, ...]
    descriptors: tuple[tuple[int, ...], ...] = ()

    def plain(self) -> list[Any]:
        """Return plain data for the wire."""
        return [getattr(self, n) for n in self.__slots__]


def unpack(plain: Any) -> MachineCode:
    """Rebuild machine code from `plain`."""
    symbol, binary, threads, shared, ctas, cooperative, scratch, parameters, descriptors = plain
    return MachineCode(
        symbol, binary, threads, shared, ctas, cooperative, tuple(scratch), tuple(parameters),
        tuple(tuple(d) for d in descriptors),
    )  # fmt: skip


class TensorMaps(Protocol):
    """Who can encode a tensor descriptor as a device takes it."""

    def tensor_map(self, layout: Sequence[int], address: int, one: Descriptor) -> bytes:
        """Return its bytes; `layout` is one of MachineCode.descriptors."""


def arguments(launch: Launch, code: MachineCode, bases: Sequence[int], scratch: Sequence[int],
              maps: TensorMaps | None = None) -> list[bytes]:  # fmt: skip
    """Encode a launch's arguments as the machine code wants them; `bases` are the addresses of the plan's buffers."""
    for flags in ((), (False,)):  # from Triton 3.9 on parts of a descriptor tell whether it rounds to tf32 too
        encoded = _encoded(launch, code, bases, maps, flags)
        encoded += [struct.pack("<Q", address) for address in scratch[: len(code.parameters) - len(encoded)]]
        if [len(e) for e in encoded] == list(code.parameters):
            return encoded
    raise BadPlan(f"kernel {code.symbol} takes {code.parameters} bytes, the plan passes {[len(e) for e in encoded]}")


def _encoded(launch: Launch, code: MachineCode, bases: Sequence[int], maps: TensorMaps | None, flags: Sequence[bool]
             ) -> list[bytes]:  # fmt: skip
    """Encode what a launch passes, without scratch memory."""
    types = dict(launch.chosen.kernel.signature)
    passed = [pair for name, value in launch.arguments for pair in zip(leaves(value), leaves(types[name]), strict=True)]
    layouts = iter(code.descriptors)
    encoded: list[bytes] = []
    for value, kind in passed:
        if isinstance(value, Descriptor):
            encoded += _descriptor(value, bases, next(layouts, None), maps, flags)
        elif kind != "constexpr":
            encoded.append(_encode(value, kind, bases))
    return encoded


def _descriptor(one: Descriptor, bases: Sequence[int], layout: Sequence[int] | None, maps: TensorMaps | None,
                flags: Sequence[bool]) -> list[bytes]:  # fmt: skip
    """Encode a descriptor as Triton's launchers do: a map of the device's, or its parts; then its shape and strides."""
    address = bases[one.pointer.buffer] + one.pointer.offset
    wide = [struct.pack("<q", n) for n in (*one.shape, *one.strides)]
    rest = [*(struct.pack("<i", n) for n in one.shape), *(struct.pack("<q", n) for n in one.strides)]
    if layout is None:
        told = [struct.pack("<?", flag) for flag in (one.nan, *flags)]
        return [struct.pack("<Q", address), *wide, *told, *rest]
    if maps is None or len(layout) != 3 + len(one.shape):
        raise BadPlan("a tensor descriptor does not fit the machine code")
    return [maps.tensor_map(layout, address, one), *rest]


def _encode(value: Any, kind: str, bases: Sequence[int]) -> bytes:
    if isinstance(value, Pointer):
        return struct.pack("<Q", bases[value.buffer] + value.offset)
    if kind == "bf16":
        return struct.pack("<f", value)[2:]
    try:
        return struct.pack(_FORMATS[kind], int(value) if kind[0] in "iu" else value)
    except (struct.error, KeyError, TypeError, OverflowError) as error:
        raise BadPlan(f"{value!r} cannot be passed as {kind}: {error}") from error
