"""Gives full-size inputs drawn values at the cost of a small block: every part of them is the same part of a file."""

import ctypes
import mmap
import os
import tempfile
from collections.abc import Mapping
from dataclasses import replace

import torch

from suites import inputs
from suites.task import ITEM_BYTES, Argument, Input

BLOCK = 1 << 18  # bytes that are drawn
PARTS = 4096  # of one buffer, at most: the kernel limits how many a process may have

_map = ctypes.CDLL(None, use_errno=True).mmap
_map.restype = ctypes.c_void_p
_map.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long)
_FIXED = 0x10


def blocks(arguments: Mapping[str, Argument], seed: int) -> dict[str, bytes]:
    """Draw a block of every input, distributed as the input is."""
    return {name: _block(a, seed, name) for name, a in arguments.items() if isinstance(a, Input)}


def _block(spec: Input, seed: int, name: str) -> bytes:
    flat = replace(spec, shape=(BLOCK // ITEM_BYTES[spec.dtype],), order=None, pad=0)
    drawn = inputs.tensor(flat, inputs.generator(seed, name))
    return drawn.view(torch.uint8).numpy().tobytes()


def untouched(size: int) -> torch.Tensor:
    """Return so many zero bytes, of which a page takes memory, and time, only when it is written."""
    return torch.frombuffer(mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS), dtype=torch.uint8)


def repeated(block: bytes, size: int) -> torch.Tensor:
    """Return so many bytes, a block again and again; a page takes memory of its own only when it is written."""
    while size > PARTS * len(block):
        block += block
    parts = -(-size // len(block))
    whole = mmap.mmap(-1, parts * len(block), flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    flat = torch.frombuffer(whole, dtype=torch.uint8)
    with tempfile.TemporaryFile() as file:
        file.write(block)
        file.flush()
        for part in range(parts):
            place = flat.data_ptr() + part * len(block)
            access, kind = mmap.PROT_READ | mmap.PROT_WRITE, mmap.MAP_PRIVATE | _FIXED
            if _map(place, len(block), access, kind, file.fileno(), 0) != place:
                number = ctypes.get_errno()
                raise OSError(number, os.strerror(number))
    return flat[:size]
