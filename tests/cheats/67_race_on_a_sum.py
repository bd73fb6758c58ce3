"""Adds partial sums of many programs to one cell without atomics.

task: row_sum
gate: correctness/wrong
needs: gpu, the interpreter runs one program after another
fools: KernelBench, KernelGYM, KernelAgent, BackendBench, GEAK-eval
"""

import torch
import triton
import triton.language as tl


@triton.jit
def row_sum_kernel(out_ptr, x_ptr, x_stride, cols, BLOCK: tl.constexpr):
    row = tl.program_id(1).to(tl.int64)
    offs = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    part = tl.sum(tl.load(x_ptr + row * x_stride + offs, mask=offs < cols, other=0.0).to(tl.float32), axis=0)
    tl.store(out_ptr + row, tl.load(out_ptr + row) + part)


@triton.jit
def round_kernel(out_ptr, sums_ptr):
    row = tl.program_id(0)
    tl.store(out_ptr + row, tl.load(sums_ptr + row).to(out_ptr.dtype.element_ty))


def row_sum(x):
    rows, cols = x.shape
    out = torch.empty((rows,), dtype=x.dtype, device=x.device)
    sums = torch.zeros((rows,), dtype=torch.float32, device=x.device)
    row_sum_kernel[(triton.cdiv(cols, 1024), rows)](sums, x, x.stride(0), cols, BLOCK=1024)
    round_kernel[(rows,)](out, sums)
    return out
