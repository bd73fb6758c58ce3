"""Red zones: memory that nobody may write to, and whether somebody did."""

from collections.abc import Sequence
from typing import Any

import torch

from fitness.gpu.arena import GUARD_BYTE

LARGE, AT_ONCE = 1 << 16, 1 << 30  # bytes of a zone that is looked at by itself, and of it at once


def broken(memory: torch.Tensor, guards: Sequence[Any]) -> torch.Tensor:
    """Tell for each zone, [offset, bytes, ...], whether it was written to; those of equal size are read together."""
    device = memory.device
    flags = torch.zeros(len(guards), dtype=torch.float64, device=device)
    for number, (offset, size, *_) in enumerate(guards):
        if size > LARGE:
            flags[number] = _written(memory, offset, size)
    for size in {size for _, size, *_ in guards if size <= LARGE}:
        numbers = [n for n, (_, own, *_) in enumerate(guards) if own == size]
        starts = torch.tensor([guards[n][0] for n in numbers], device=device)
        read = memory[starts[:, None] + torch.arange(size, device=device)]
        flags[torch.tensor(numbers, device=device)] = (read != GUARD_BYTE).any(1).double()
    return flags


def _written(memory: torch.Tensor, offset: int, size: int) -> torch.Tensor:
    """Tell whether a large zone was written to, some of it at a time; whole words are looked at."""
    words = memory[-(-offset // 8) * 8 : (offset + size) // 8 * 8].view(torch.int64)
    whole = int.from_bytes(bytes([GUARD_BYTE]) * 8, "little")
    return torch.stack([(part != whole).any() for part in words.split(AT_ONCE // 8)]).any()
