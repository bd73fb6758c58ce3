"""Leaves its input alone though it might overwrite it, and computes on the bits of the numbers.

task: relu_in_place
"""

import torch
import triton
import triton.language as tl


@triton.jit
def relu_kernel(out_ptr, x_ptr, n, BLOCK: tl.constexpr):
    offs = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    bits = tl.load(x_ptr + offs, mask=offs < n).to(tl.int32, bitcast=True)
    kept = bits & ~(bits >> 31)
    tl.store(out_ptr + offs, kept.to(tl.float32, bitcast=True), mask=offs < n)


def relu_in_place(x):
    out = torch.full_like(x, 7.0)
    n = x.numel()
    relu_kernel[(triton.cdiv(n, 2048),)](out, x, n, BLOCK=2048)
    return out
