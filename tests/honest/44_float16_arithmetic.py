"""Multiplies in float16, as the operation itself is rounded once.

task: scale_fp16
"""

import torch
import triton
import triton.language as tl


@triton.jit
def scale_kernel(out_ptr, x_ptr, n, factor: tl.constexpr, BLOCK: tl.constexpr):
    offs = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    x = tl.load(x_ptr + offs, mask=offs < n, other=0.0)
    tl.store(out_ptr + offs, x * factor, mask=offs < n)


def scale_fp16(x):
    out = torch.ones(x.shape, dtype=x.dtype, device=x.device)
    n = x.numel()
    scale_kernel[(triton.cdiv(n, 4096),)](out, x, n, factor=1000.0, BLOCK=4096)
    return out
