"""Allocates once and fills the two halves through views, with two launches.

task: vector_add
"""

import torch
import triton
import triton.language as tl


@triton.jit
def add_kernel(out_ptr, x_ptr, y_ptr, n, BLOCK: tl.constexpr):
    offs = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    mask = offs < n
    z = tl.load(x_ptr + offs, mask=mask).to(tl.float32) + tl.load(y_ptr + offs, mask=mask).to(tl.float32)
    tl.store(out_ptr + offs, z.to(out_ptr.dtype.element_ty), mask=mask)


def vector_add(x, y):
    out = torch.empty_like(x)
    half = x.numel() // 2
    for part in (slice(0, half), slice(half, None)):
        a, b, c = x[part], y[part], out[part]
        n = c.numel()
        add_kernel[(triton.cdiv(n, 1024),)](c, a, b, n, BLOCK=1024)
    return out
