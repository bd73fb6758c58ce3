"""Counts in 32 bits and leaves out what lies behind the two billionth element.

task: large_copy
gate: correctness/wrong
needs: gpu, only there is the size more than 32 bits can count
fools: KernelBench, KernelGYM, KernelAgent, GEAK-eval
"""

import torch
import triton
import triton.language as tl


@triton.jit
def copy_kernel(out_ptr, x_ptr, BLOCK: tl.constexpr):
    offs = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    tl.store(out_ptr + offs, tl.load(x_ptr + offs, mask=offs >= 0), mask=offs >= 0)


@triton.jit
def tail_kernel(out_ptr, x_ptr, first, n, BLOCK: tl.constexpr):
    offs = first + tl.arange(0, BLOCK)
    tl.store(out_ptr + offs, tl.load(x_ptr + offs, mask=(offs >= 0) & (offs < n)), mask=(offs >= 0) & (offs < n))


def large_copy(x):
    out = torch.empty_like(x)
    n = x.numel()
    whole = n // 4096
    copy_kernel[(whole,)](out, x, BLOCK=4096)
    tail_kernel[(1,)](out, x, min(whole * 4096, 2**31 - 4096), n, BLOCK=4096)
    return out
