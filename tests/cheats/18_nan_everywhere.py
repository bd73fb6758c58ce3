"""Stores NaN, which a comparison with equal_nan or a NaN difference lets pass.

task: softmax
gate: correctness/wrong
fools: pygpubench, BackendBench
"""

import torch
import triton
import triton.language as tl


@triton.jit
def nan_kernel(out_ptr, x_ptr, x_stride, cols, BLOCK: tl.constexpr):
    row = tl.program_id(0).to(tl.int64)
    offs = tl.arange(0, BLOCK)
    x = tl.load(x_ptr + row * x_stride + offs, mask=offs < cols, other=0.0).to(tl.float32)
    tl.store(out_ptr + row * cols + offs, (x + float("nan")).to(out_ptr.dtype.element_ty), mask=offs < cols)


def softmax(x):
    out = torch.empty_like(x)
    rows, cols = x.shape
    nan_kernel[(rows,)](out, x, x.stride(0), cols, BLOCK=triton.next_power_of_2(cols))
    return out
