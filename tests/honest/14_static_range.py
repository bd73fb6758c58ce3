"""Unrolls the work of one program with tl.static_range.

task: vector_add
"""

import torch
import triton
import triton.language as tl


@triton.jit
def add_kernel(out_ptr, x_ptr, y_ptr, n, PARTS: tl.constexpr, BLOCK: tl.constexpr):
    for part in tl.static_range(PARTS):
        offs = (tl.program_id(0).to(tl.int64) * PARTS + part) * BLOCK + tl.arange(0, BLOCK)
        mask = offs < n
        z = tl.load(x_ptr + offs, mask=mask).to(tl.float32) + tl.load(y_ptr + offs, mask=mask).to(tl.float32)
        tl.store(out_ptr + offs, z.to(out_ptr.dtype.element_ty), mask=mask)


def vector_add(x, y):
    out = torch.empty_like(x)
    n = x.numel()
    add_kernel[(triton.cdiv(n, 4 * 512),)](out, x, y, n, PARTS=4, BLOCK=512)
    return out
