"""Chooses its launch with dataclasses, functools, math and typing.

task: vector_add
"""

import functools
import math
from dataclasses import dataclass
from typing import Optional

import torch
import triton
import triton.language as tl


@dataclass(frozen=True)
class Shape:
    block: int
    warps: int


@functools.lru_cache(maxsize=None)
def shape_for(n: int) -> Shape:
    block = 1 << min(12, max(6, math.ceil(math.log2(max(n, 1) / 64 + 1))))
    return Shape(block, max(1, block // 512))


def grid_for(n: int, shape: Shape) -> Optional[tuple[int, ...]]:
    return (triton.cdiv(n, shape.block),)


@triton.jit
def add_kernel(out_ptr, x_ptr, y_ptr, n, BLOCK: tl.constexpr):
    offs = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    mask = offs < n
    z = tl.load(x_ptr + offs, mask=mask).to(tl.float32) + tl.load(y_ptr + offs, mask=mask).to(tl.float32)
    tl.store(out_ptr + offs, z.to(out_ptr.dtype.element_ty), mask=mask)


def vector_add(x, y):
    out = torch.empty_like(x)
    n = x.numel()
    shape = shape_for(n)
    add_kernel[grid_for(n, shape)](out, x, y, n, BLOCK=shape.block, num_warps=shape.warps)
    return out
