"""Chooses block and mask by heuristics from its arguments.

task: vector_add
"""

import torch
import triton
import triton.language as tl


@triton.heuristics({"EVEN": lambda args: args["n"] % args["BLOCK"] == 0})
@triton.jit
def add_kernel(out_ptr, x_ptr, y_ptr, n, BLOCK: tl.constexpr, EVEN: tl.constexpr):
    offs = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    if EVEN:
        z = tl.load(x_ptr + offs).to(tl.float32) + tl.load(y_ptr + offs).to(tl.float32)
        tl.store(out_ptr + offs, z.to(out_ptr.dtype.element_ty))
    else:
        mask = offs < n
        z = tl.load(x_ptr + offs, mask=mask).to(tl.float32) + tl.load(y_ptr + offs, mask=mask).to(tl.float32)
        tl.store(out_ptr + offs, z.to(out_ptr.dtype.element_ty), mask=mask)


def vector_add(x, y):
    out = torch.empty_like(x)
    n = x.numel()
    add_kernel[(triton.cdiv(n, 1024),)](out, x, y, n, BLOCK=1024)
    return out
