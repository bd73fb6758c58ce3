"""Passes pointers and numbers in tuples, some of them named, and a NamedTuple as a constexpr.

task: vector_add
"""

from typing import NamedTuple

import torch
import triton
import triton.language as tl


class Vectors(NamedTuple):
    out: torch.Tensor
    given: tuple[torch.Tensor, torch.Tensor]


class Tile(NamedTuple):
    size: int
    programs: int


@triton.jit
def add_kernel(vectors, sizes, TILE: tl.constexpr):
    n, step = sizes
    for tile in range(TILE.programs):
        offs = (tl.program_id(0).to(tl.int64) * TILE.programs + tile) * TILE.size + tl.arange(0, TILE.size) * step
        x = tl.load(vectors.given[0] + offs, mask=offs < n).to(tl.float32)
        y = tl.load(vectors.given[1] + offs, mask=offs < n).to(tl.float32)
        tl.store(vectors.out + offs, (x + y).to(vectors.out.dtype.element_ty), mask=offs < n)


def vector_add(x, y):
    out = torch.empty_like(x)
    n = x.numel()
    tile = Tile(1024, 4)
    add_kernel[(triton.cdiv(n, tile.size * tile.programs),)](Vectors(out, (x, y)), (n, 1), TILE=tile)
    return out
