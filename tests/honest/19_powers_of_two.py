"""Takes powers of two instead of exponentials, and multiplies by a reciprocal.

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
    e = tl.exp2((x - tl.max(x, axis=0)) * 1.4426950408889634)
    y = e * (1 / tl.sum(e, axis=0))
    tl.store(out_ptr + row * cols + offs, y.to(out_ptr.dtype.element_ty), mask=offs < cols)


def softmax(x):
    out = torch.empty_like(x)
    rows, cols = x.shape
    softmax_kernel[(rows,)](out, x, x.stride(0), cols, BLOCK=triton.next_power_of_2(cols))
    return out
