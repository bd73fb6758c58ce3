"""Adds the sums of all blocks to one cell with atomics, where the task declares them.

task: total
"""

import torch
import triton
import triton.language as tl


@triton.jit
def total_kernel(out_ptr, x_ptr, n, BLOCK: tl.constexpr):
    offs = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    tl.atomic_add(out_ptr, tl.sum(tl.load(x_ptr + offs, mask=offs < n, other=0.0), axis=0), sem="relaxed")


def total(x):
    out = torch.zeros((1,), dtype=x.dtype, device=x.device)
    n = x.numel()
    total_kernel[(triton.cdiv(n, 4096),)](out, x, n, BLOCK=4096)
    return out
