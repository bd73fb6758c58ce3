"""A row stays in registers: read once, written once; exp2 with the factor folded in, one reciprocal a row."""
import torch
import triton
import triton.language as tl


@triton.jit
def row_kernel(out_ptr, x_ptr, out_stride, x_stride, cols, BLOCK: tl.constexpr):
    # one program per row; the row's start is 64-bit because rows * cols may pass 2^31 elements
    row = tl.program_id(0).to(tl.int64)
    offs = tl.arange(0, BLOCK)
    mask = offs < cols
    x = tl.load(x_ptr + row * x_stride + offs, mask=mask, other=float("-inf")).to(tl.float32)
    e = tl.exp2((x - tl.max(x, axis=0)) * 1.4426950408889634)
    y = e * (1.0 / tl.sum(e, axis=0))
    tl.store(out_ptr + row * out_stride + offs, y.to(out_ptr.dtype.element_ty), mask=mask)


@triton.jit
def softmax_kernel(out_ptr, x_ptr, out_stride, x_stride, cols, BLOCK: tl.constexpr):
    # 64-bit: rows * cols may pass 2^31 elements
    row = tl.program_id(0).to(tl.int64)
    # first pass: the row's maximum
    peak = tl.full((BLOCK,), float("-inf"), tl.float32)
    for start in range(0, cols, BLOCK):
        offs = start + tl.arange(0, BLOCK)
        x = tl.load(x_ptr + row * x_stride + offs, mask=offs < cols, other=float("-inf"))
        peak = tl.maximum(peak, x.to(tl.float32))
    top = tl.max(peak, axis=0)
    # second pass: the sum of exponentials
    total = tl.zeros((BLOCK,), tl.float32)
    for start in range(0, cols, BLOCK):
        offs = start + tl.arange(0, BLOCK)
        x = tl.load(x_ptr + row * x_stride + offs, mask=offs < cols, other=float("-inf"))
        total += tl.exp(x.to(tl.float32) - top)
    norm = tl.sum(total, axis=0)
    # third pass: the result
    for start in range(0, cols, BLOCK):
        offs = start + tl.arange(0, BLOCK)
        x = tl.load(x_ptr + row * x_stride + offs, mask=offs < cols, other=float("-inf"))
        y = tl.exp(x.to(tl.float32) - top) / norm
        tl.store(out_ptr + row * out_stride + offs, y.to(out_ptr.dtype.element_ty), mask=offs < cols)


def softmax(x):
    out = torch.empty_like(x)
    rows, cols = x.shape
    if 0 < cols <= 16384:
        block = triton.next_power_of_2(cols)
        row_kernel[(rows,)](out, x, out.stride(0), x.stride(0), cols, BLOCK=block, num_warps=8)
        return out
    softmax_kernel[(rows,)](out, x, out.stride(0), x.stride(0), cols, BLOCK=256, num_warps=4)
    return out
