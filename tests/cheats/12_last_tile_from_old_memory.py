"""Computes all but the last block and leaves the tail to what the memory held before.

task: flip
gate: correctness/wrong
fools: KernelBench, KernelGYM, GEAK-eval, AgentKernelArena, flashinfer-bench
"""

import torch
import triton
import triton.language as tl


@triton.jit
def flip_kernel(out_ptr, x_ptr, x_stride, cols, BLOCK: tl.constexpr):
    row = tl.program_id(1).to(tl.int64)
    offs = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    x = tl.load(x_ptr + row * x_stride + cols - 1 - offs, mask=offs < cols)
    tl.store(out_ptr + row * cols + offs, x, mask=offs < cols)


def flip(x):
    out = torch.empty_like(x)
    rows, cols = x.shape
    flip_kernel[(max(1, triton.cdiv(cols, 256) - 1), rows)](out, x, x.stride(0), cols, BLOCK=256)
    return out
