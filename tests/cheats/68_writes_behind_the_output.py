"""Stores one block more than the output has.

task: flip
gate: correctness/out-of-bounds
fools: KernelBench, KernelGYM, KernelAgent, BackendBench, GEAK-eval
"""

import torch
import triton
import triton.language as tl


@triton.jit
def flip_kernel(out_ptr, x_ptr, x_stride, rows, cols, BLOCK: tl.constexpr):
    row = tl.program_id(1).to(tl.int64)
    offs = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    x = tl.load(x_ptr + row * x_stride + cols - 1 - offs, mask=offs < cols)
    tl.store(out_ptr + row * cols + offs, x, mask=offs < cols)
    last = row == rows - 1
    tl.store(out_ptr + rows.to(tl.int64) * cols + tl.arange(0, BLOCK), x, mask=last & (tl.arange(0, BLOCK) < 8))


def flip(x):
    out = torch.empty_like(x)
    rows, cols = x.shape
    flip_kernel[(triton.cdiv(cols, 1024), rows)](out, x, x.stride(0), rows, cols, BLOCK=1024)
    return out
