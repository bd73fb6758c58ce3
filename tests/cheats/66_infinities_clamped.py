"""Clamps what overflows to the largest number instead of infinity.

task: scale_fp16
gate: correctness/wrong
fools: KernelBench, pygpubench
"""

import torch
import triton
import triton.language as tl


@triton.jit
def scale_kernel(out_ptr, x_ptr, n, BLOCK: tl.constexpr):
    offs = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    x = tl.load(x_ptr + offs, mask=offs < n).to(tl.float32) * 1000.0
    tl.store(out_ptr + offs, tl.minimum(tl.maximum(x, -65504.0), 65504.0).to(tl.float16), mask=offs < n)


def scale_fp16(x):
    out = torch.empty_like(x)
    n = x.numel()
    scale_kernel[(triton.cdiv(n, 1024),)](out, x, n, BLOCK=1024)
    return out
