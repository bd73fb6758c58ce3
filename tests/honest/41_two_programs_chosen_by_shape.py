"""Has one kernel for short rows and another for long ones, chosen by shape.

task: softmax
"""

import torch
import triton
import triton.language as tl


@triton.jit
def short_kernel(out_ptr, x_ptr, x_stride, cols, BLOCK: tl.constexpr):
    row = tl.program_id(0).to(tl.int64)
    offs = tl.arange(0, BLOCK)
    x = tl.load(x_ptr + row * x_stride + offs, mask=offs < cols, other=float("-inf")).to(tl.float32)
    e = tl.exp(x - tl.max(x, axis=0))
    tl.store(out_ptr + row * cols + offs, (e / tl.sum(e, axis=0)).to(out_ptr.dtype.element_ty), mask=offs < cols)


@triton.jit
def long_kernel(out_ptr, x_ptr, x_stride, cols, BLOCK: tl.constexpr):
    row = tl.program_id(0).to(tl.int64)
    peak = tl.full((BLOCK,), float("-inf"), tl.float32)
    for start in range(0, cols, BLOCK):
        offs = start + tl.arange(0, BLOCK)
        x = tl.load(x_ptr + row * x_stride + offs, mask=offs < cols, other=float("-inf")).to(tl.float32)
        peak = tl.maximum(peak, x)
    top = tl.max(peak, axis=0)
    total = tl.zeros((BLOCK,), tl.float32)
    for start in range(0, cols, BLOCK):
        offs = start + tl.arange(0, BLOCK)
        x = tl.load(x_ptr + row * x_stride + offs, mask=offs < cols, other=float("-inf")).to(tl.float32)
        total += tl.exp(x - top)
    scale = 1 / tl.sum(total, axis=0)
    for start in range(0, cols, BLOCK):
        offs = start + tl.arange(0, BLOCK)
        x = tl.load(x_ptr + row * x_stride + offs, mask=offs < cols, other=float("-inf")).to(tl.float32)
        tl.store(out_ptr + row * cols + offs, (tl.exp(x - top) * scale).to(out_ptr.dtype.element_ty), mask=offs < cols)


def softmax(x):
    out = torch.empty_like(x)
    rows, cols = x.shape
    kernel = short_kernel if cols <= 800 else long_kernel
    block = triton.next_power_of_2(cols) if cols <= 800 else 256
    kernel[(rows,)](out, x, x.stride(0), cols, BLOCK=block)
    return out
