"""Reads what NVIDIA's tools write about a kernel into its binary; there is no public format, these are its parts."""

import struct
from collections.abc import Iterator

from fitness.elf import sections

_REGISTERS, _FRAME, _PARAMETER = 0x2F, 0x11, 0x17  # attributes: EIATTR_REGCOUNT, FRAME_SIZE, KPARAM_INFO
_WITH_PAYLOAD = 4  # EIFMT_SVAL: the only form of an entry with bytes behind its header


def figures(binary: bytes) -> tuple[int, int]:
    """Return registers per thread and stack bytes per thread of the only kernel in a cubin."""
    found = {_REGISTERS: 0, _FRAME: 0}
    for attribute, payload in _entries(binary, ".nv.info"):
        if attribute in found and len(payload) == 8:
            found[attribute] = max(found[attribute], struct.unpack("<II", payload)[1])  # (symbol, value)
    return found[_REGISTERS], found[_FRAME]


def parameters(binary: bytes, symbol: str) -> tuple[int, ...]:
    """Return the sizes in bytes of a kernel's parameters, in order."""
    sizes = {}
    for attribute, payload in _entries(binary, f".nv.info.{symbol}"):
        if attribute == _PARAMETER:
            _, ordinal, _, packed = struct.unpack("<IHHI", payload)
            sizes[ordinal] = packed >> 18
    return tuple(sizes[k] for k in sorted(sizes))


def _entries(binary: bytes, section: str) -> Iterator[tuple[int, bytes]]:
    """Yield (attribute, payload) of one section's entries: format, attribute and size in 4 bytes, then the payload."""
    for name, position, size in sections(binary):
        if name != section:
            continue
        end = position + size
        while position + 4 <= end:
            form, attribute, length = struct.unpack_from("<BBH", binary, position)
            position += 4
            if form == _WITH_PAYLOAD:
                yield attribute, binary[position : position + length]
                position += length
