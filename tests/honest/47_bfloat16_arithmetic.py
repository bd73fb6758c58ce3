"""Adds in the dtype of its inputs, bfloat16 among them, with constants, a comparison and a sum of two halves in it.

task: vector_add
"""

import torch
import triton
import triton.language as tl


@triton.jit
def add_kernel(out_ptr, x_ptr, y_ptr, n, BLOCK: tl.constexpr):
    offs = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    mask = offs < n
    total = tl.zeros((BLOCK,), x_ptr.dtype.element_ty)
    total += tl.where(mask, tl.load(x_ptr + offs, mask=mask), 0.0)
    y = tl.load(y_ptr + offs, mask=mask, other=0.0) * 1.0
    total = tl.where(y > 0.0, total + y, total - (-y))
    tl.store(out_ptr + offs, total, mask=mask)


def vector_add(x, y):
    out = torch.empty_like(x)
    n = x.numel()
    add_kernel[(triton.cdiv(n, 1024),)](out, x, y, n, BLOCK=1024)
    return out
