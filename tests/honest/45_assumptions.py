"""Tells the compiler what it may assume of strides and sizes.

task: softmax
"""

import torch
import triton
import triton.language as tl


@triton.jit
def softmax_kernel(out_ptr, x_ptr, out_stride, x_stride, cols, BLOCK: tl.constexpr):
    tl.assume(out_stride >= 0)
    tl.assume(x_stride >= 0)
    row = tl.program_id(0).to(tl.int64)
    peak = tl.full((BLOCK,), float("-inf"), tl.float32)
    for start in range(0, cols, BLOCK):
        offs = start + tl.arange(0, BLOCK)
        x = tl.load(x_ptr + row * x_stride + offs, mask=offs < cols, other=float("-inf"))
        peak = tl.maximum(peak, x.to(tl.float32))
    top = tl.max(peak, axis=0)
    total = tl.zeros((BLOCK,), tl.float32)
    for start in range(0, cols, BLOCK):
        offs = start + tl.arange(0, BLOCK)
        x = tl.load(x_ptr + row * x_stride + offs, mask=offs < cols, other=float("-inf"))
        total += tl.exp(x.to(tl.float32) - top)
    norm = tl.sum(total, axis=0)
    for start in range(0, cols, BLOCK):
        offs = start + tl.arange(0, BLOCK)
        x = tl.load(x_ptr + row * x_stride + offs, mask=offs < cols, other=float("-inf"))
        y = tl.exp(x.to(tl.float32) - top) / norm
        tl.store(out_ptr + row * out_stride + offs, y.to(out_ptr.dtype.element_ty), mask=offs < cols)


def softmax(x):
    out = torch.empty_like(x)
    rows, cols = x.shape
    softmax_kernel[(rows,)](out, x, out.stride(0), x.stride(0), cols, BLOCK=512, num_warps=4)
    return out
