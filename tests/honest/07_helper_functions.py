"""Is put together from small jit functions, one of which takes another as a constant.

task: vector_add
"""

import torch
import triton
import triton.language as tl


@triton.jit
def plus(a, b):
    return a.to(tl.float32) + b.to(tl.float32)


@triton.jit
def place(n, BLOCK: tl.constexpr):
    offs = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    return offs, offs < n


@triton.jit
def map_kernel(out_ptr, x_ptr, y_ptr, n, FUNCTION: tl.constexpr, BLOCK: tl.constexpr):
    offs, mask = place(n, BLOCK)
    z = FUNCTION(tl.load(x_ptr + offs, mask=mask), tl.load(y_ptr + offs, mask=mask))
    tl.store(out_ptr + offs, z.to(out_ptr.dtype.element_ty), mask=mask)


def vector_add(x, y):
    out = torch.empty_like(x)
    n = x.numel()
    map_kernel[(triton.cdiv(n, 1024),)](out, x, y, n, FUNCTION=plus, BLOCK=1024)
    return out
