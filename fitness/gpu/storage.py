"""Bytes on the device: memory at an address as a tensor, inputs as they lie in memory, and written."""

import torch

from suites.task import Input


class _Bytes:
    """Memory at an address, as torch takes it."""

    def __init__(self, address: int, size: int) -> None:
        self.__cuda_array_interface__ = {"shape": (size,), "typestr": "|u1", "data": (address, False), "version": 3}


def at(address: int, size: int, device: str) -> torch.Tensor:
    """Return memory of the device as a tensor of bytes."""
    return torch.as_tensor(_Bytes(address, size), device=device)


def stored(tensor: torch.Tensor, spec: Input) -> torch.Tensor:
    """Return an input's bytes in memory order, padding included."""
    if not spec.elements:
        return torch.empty(0, dtype=torch.uint8, device=tensor.device)
    whole = tensor.as_strided(spec.stored, _strides(spec.stored))
    return whole.reshape(-1).view(torch.uint8)


def write(memory: torch.Tensor, offset: int, data: torch.Tensor, by: int) -> None:
    """Write bytes to a place, beginning with those from `by` on: they lie on a ring."""
    size = data.numel()
    memory[offset : offset + size - by] = data[by:]
    if by:
        memory[offset + size - by : offset + size] = data[:by]


def _strides(shape: tuple[int, ...]) -> tuple[int, ...]:
    strides, step = [], 1
    for size in reversed(shape):
        strides.append(step)
        step *= size
    return tuple(reversed(strides))
