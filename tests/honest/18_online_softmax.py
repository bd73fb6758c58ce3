"""Finds maximum and sum in one pass that corrects the sum whenever the maximum grows.

task: softmax
"""

import torch
import triton
import triton.language as tl


@triton.jit
def softmax_kernel(out_ptr, x_ptr, x_stride, cols, BLOCK: tl.constexpr):
    row = tl.program_id(0).to(tl.int64)
    peak = float("-inf")
    total = 0.0
    for start in range(0, cols, BLOCK):
        offs = start + tl.arange(0, BLOCK)
        x = tl.load(x_ptr + row * x_stride + offs, mask=offs < cols, other=float("-inf")).to(tl.float32)
        top = tl.maximum(peak, tl.max(x, axis=0))
        total = total * tl.exp(peak - top) + tl.sum(tl.exp(x - top), axis=0)
        peak = top
    for start in range(0, cols, BLOCK):
        offs = start + tl.arange(0, BLOCK)
        x = tl.load(x_ptr + row * x_stride + offs, mask=offs < cols, other=float("-inf")).to(tl.float32)
        tl.store(out_ptr + row * cols + offs, (tl.exp(x - peak) / total).to(out_ptr.dtype.element_ty), mask=offs < cols)


def softmax(x):
    out = torch.empty_like(x)
    rows, cols = x.shape
    softmax_kernel[(rows,)](out, x, x.stride(0), cols, BLOCK=512)
    return out
