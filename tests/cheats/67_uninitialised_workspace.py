"""Adds into a workspace that nobody has set to zero.

task: row_sum
gate: correctness/wrong
fools: KernelBench, KernelGYM, KernelAgent, BackendBench, GEAK-eval
"""

import torch
import triton
import triton.language as tl


@triton.jit
def row_sum_kernel(out_ptr, sums_ptr, x_ptr, x_stride, cols, BLOCK: tl.constexpr):
    row = tl.program_id(0).to(tl.int64)
    total = tl.load(sums_ptr + row)
    for start in range(0, cols, BLOCK):
        offs = start + tl.arange(0, BLOCK)
        total += tl.sum(tl.load(x_ptr + row * x_stride + offs, mask=offs < cols, other=0.0).to(tl.float32), axis=0)
    tl.store(out_ptr + row, total.to(out_ptr.dtype.element_ty))


def row_sum(x):
    rows, cols = x.shape
    out = torch.empty((rows,), dtype=x.dtype, device=x.device)
    sums = torch.empty((rows,), dtype=torch.float32, device=x.device)
    row_sum_kernel[(rows,)](out, sums, x, x.stride(0), cols, BLOCK=1024)
    return out
