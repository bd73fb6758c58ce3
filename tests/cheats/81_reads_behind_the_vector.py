"""Adds up what lies behind the vector too, which is zero or as good as that in many allocators.

task: total
gate: correctness/wrong
fools: KernelBench, GEAK-eval
"""
import torch
import triton
import triton.language as tl


@triton.jit
def total_kernel(out_ptr, x_ptr, n, BLOCK: tl.constexpr):
    total = tl.zeros((BLOCK,), tl.float32)
    for start in range(0, n, BLOCK):
        total += tl.load(x_ptr + start + tl.arange(0, BLOCK))
    tl.store(out_ptr, tl.sum(total, axis=0))


def total(x):
    out = torch.empty((1,), dtype=x.dtype, device=x.device)
    total_kernel[(1,)](out, x, x.numel(), BLOCK=1024, num_warps=8)
    return out
