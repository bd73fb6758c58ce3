"""Frames between processes: a length, then msgpack of plain data; never pickle, never text, always a size limit."""

import os
import struct
from typing import Any

import msgpack

_HEADER = struct.Struct(">Q")
MAX_FRAME = 1 << 30
MAX_ITEMS = 1 << 16  # of one list: what is large here is text and bytes
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
