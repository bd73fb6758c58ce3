"""Frames between processes: a length, then msgpack of plain data; never pickle, never text, always a size limit."""

import os
import struct
from typing import Any

import msgpack

_HEADER = struct.Struct(">Q")
MAX_FRAME = 1 << 30
MAX_ITEMS = 1 << 16  # of one list: what is large here is text and bytes
MAX_OBJECTS = 1 << 20  # of one frame that a candidate may have written: each takes memory, however few its bytes are
# TypeError: a map may be keyed by a list or a map, which Python cannot hash
_MALFORMED = (ValueError, TypeError, OverflowError, RecursionError, MemoryError, msgpack.UnpackException)


class WireError(Exception):
    """What came is not a frame, or what should go cannot be one."""


def encode(value: Any) -> bytes:
    """Make one frame of plain data; WireError where it is nested too deeply or too large."""
    try:
        body: bytes = msgpack.packb(value)
    except (ValueError, OverflowError, RecursionError, MemoryError) as error:
        raise WireError(f"this cannot be a frame: {error}") from error
    if len(body) > MAX_FRAME:
        raise WireError(f"frame of {len(body)} bytes; at most {MAX_FRAME} are allowed")
    return _HEADER.pack(len(body)) + body


def send(descriptor: int, value: Any) -> None:
    """Write one frame."""
    write(descriptor, encode(value))


def write(descriptor: int, frame: bytes) -> None:
    """Write what `encode` made."""
    view = memoryview(frame)
    while view:
        view = view[os.write(descriptor, view) :]


def receive(descriptor: int) -> Any:
    """Read one frame; EOFError when the other side is gone."""
    (length,) = _HEADER.unpack(_exactly(descriptor, _HEADER.size))
    if length > MAX_FRAME:
        raise WireError(f"frame of {length} bytes; at most {MAX_FRAME} are allowed")
    return decode(_exactly(descriptor, length))


def decode(body: bytes) -> Any:
    """Read a frame's body; WireError on anything malformed."""
    try:
        return msgpack.unpackb(
            body, use_list=False, strict_map_key=False, max_array_len=MAX_ITEMS, max_map_len=MAX_ITEMS
        )
    except _MALFORMED as error:
        raise WireError(f"malformed frame: {error}") from error


def check_objects(body: bytes, most: int = MAX_OBJECTS) -> None:
    """Refuse a frame that would become more objects than an honest one, before memory is taken for any of them.

    Lists and maps announce their length, so one pass over the tokens counts all there are and all that are announced.
    """
    place, seen, announced = 0, 0, 1
    try:
        while place < len(body):
            size, length, items = _SIZES[body[place]]
            if length:
                (number,) = _NUMBERS[length].unpack_from(body, place + 1)
                size, items = size + (0 if items else number), items * number
            seen, announced, place = seen + 1, announced + items, place + size
            if seen > most or announced > most:
                raise WireError(f"more than {most} values in one frame")
    except struct.error as error:
        raise WireError(f"malformed frame: {error}") from error


def _sizes() -> list[tuple[int, int, int]]:
    """Return of every first byte: the bytes of the token, the bytes that say its length, the values for each of these.

    Where the length counts bytes of the token itself, no values follow. By https://github.com/msgpack/msgpack.
    """
    found = [(1, 0, 0)] * 256  # small numbers, nil, false, true
    found[0x80:0x90] = [(1, 0, 2 * n) for n in range(16)]  # small maps
    found[0x90:0xA0] = [(1, 0, n) for n in range(16)]  # small lists
    found[0xA0:0xC0] = [(1 + n, 0, 0) for n in range(32)]  # short text
    for first, extra in ((0xC4, 0), (0xC7, 1), (0xD9, 0)):  # bytes, extensions, text
        found[first : first + 3] = [(1 + n + extra, n, 0) for n in (1, 2, 4)]
    for first, sizes in ((0xCA, (4, 8)), (0xCC, (1, 2, 4, 8)), (0xD0, (1, 2, 4, 8)), (0xD4, (2, 3, 5, 9, 17))):
        found[first : first + len(sizes)] = [(1 + n, 0, 0) for n in sizes]  # numbers, fixed extensions
    found[0xDC:0xE0] = [(3, 2, 1), (5, 4, 1), (3, 2, 2), (5, 4, 2)]  # long lists and maps
    return found


_SIZES = _sizes()
_NUMBERS = {n: struct.Struct(f) for n, f in ((1, ">B"), (2, ">H"), (4, ">I"))}


class Frames:
    """Collects bytes as they come and yields whole frame bodies."""

    def __init__(self, limit: int) -> None:
        self._data = bytearray()
        self._limit = limit

    def feed(self, data: bytes) -> list[bytes]:
        """Add bytes; return the bodies that are now complete."""
        self._data += data
        if len(self._data) > self._limit:
            raise WireError(f"more than {self._limit} bytes were sent")
        bodies = []
        while len(self._data) >= _HEADER.size:
            (length,) = _HEADER.unpack_from(self._data)
            if length > self._limit:
                raise WireError(f"frame of {length} bytes; at most {self._limit} are allowed")
            if len(self._data) < _HEADER.size + length:
                break
            bodies.append(bytes(self._data[_HEADER.size : _HEADER.size + length]))
            del self._data[: _HEADER.size + length]
        return bodies


def _exactly(descriptor: int, count: int) -> bytes:
    """Read exactly `count` bytes."""
    data = bytearray()
    while len(data) < count:
        more = os.read(descriptor, min(count - len(data), 1 << 20))
        if not more:
            raise EOFError("the other side closed the channel")
        data += more
    return bytes(data)
