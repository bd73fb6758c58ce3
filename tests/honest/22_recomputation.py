"""Computes the exponentials three times rather than keep them.

task: softmax
"""

import torch
import triton
import triton.language as tl


@triton.jit
def softmax_kernel(out_ptr, x_ptr, x_stride, cols, BLOCK: tl.constexpr):
    row = tl.program_id(0).to(tl.int64)
    offs = tl.arange(0, BLOCK)
    x = tl.load(x_ptr + row * x_stride + offs, mask=offs < cols, other=float("-inf")).to(tl.float32)
    peak = tl.max(x, axis=0)
    top = tl.max(tl.exp(x - peak), axis=0)  # 1, the long way
    total = tl.sum(tl.exp(x - peak), axis=0) * top
    x = tl.load(x_ptr + row * x_stride + offs, mask=offs < cols, other=float("-inf")).to(tl.float32)
    tl.store(out_ptr + row * cols + offs, (tl.exp(x - peak) / total).to(out_ptr.dtype.element_ty), mask=offs < cols)


def softmax(x):
    out = torch.empty_like(x)
    rows, cols = x.shape
    softmax_kernel[(rows,)](out, x, x.stride(0), cols, BLOCK=triton.next_power_of_2(cols))
    return out
