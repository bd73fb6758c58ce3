"""Spreads a vector over a grid of three dimensions, some programs of which have nothing to do.

task: vector_add
"""

import torch
import triton
import triton.language as tl


@triton.jit
def add_kernel(out_ptr, x_ptr, y_ptr, n, BLOCK: tl.constexpr):
    plane = tl.program_id(2) * tl.num_programs(1) + tl.program_id(1)
    offs = (plane.to(tl.int64) * tl.num_programs(0) + tl.program_id(0)) * BLOCK + tl.arange(0, BLOCK)
    mask = offs < n
    z = tl.load(x_ptr + offs, mask=mask).to(tl.float32) + tl.load(y_ptr + offs, mask=mask).to(tl.float32)
    tl.store(out_ptr + offs, z.to(out_ptr.dtype.element_ty), mask=mask)


def vector_add(x, y):
    out = torch.empty_like(x)
    n = x.numel()
    blocks = triton.cdiv(n, 2048)
    add_kernel[(triton.cdiv(blocks, 6), 3, 2)](out, x, y, n, BLOCK=2048)
    return out
