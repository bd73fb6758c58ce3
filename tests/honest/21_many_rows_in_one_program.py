"""Gives each program a tile of four rows.

task: softmax
"""

import torch
import triton
import triton.language as tl


@triton.jit
def softmax_kernel(out_ptr, x_ptr, x_stride, rows, cols, ROWS: tl.constexpr, BLOCK: tl.constexpr):
    r = tl.program_id(0).to(tl.int64) * ROWS + tl.arange(0, ROWS)
    c = tl.arange(0, BLOCK)
    mask = (r[:, None] < rows) & (c[None, :] < cols)
    x = tl.load(x_ptr + r[:, None] * x_stride + c[None, :], mask=mask, other=float("-inf")).to(tl.float32)
    x = tl.where(r[:, None] < rows, x, 0.0)  # a row of nothing but -inf would be NaN
    e = tl.exp(x - tl.max(x, axis=1)[:, None])
    y = e / tl.sum(e, axis=1)[:, None]
    tl.store(out_ptr + r[:, None] * cols + c[None, :], y.to(out_ptr.dtype.element_ty), mask=mask)


def softmax(x):
    out = torch.empty_like(x)
    rows, cols = x.shape
    block = triton.next_power_of_2(cols)
    softmax_kernel[(triton.cdiv(rows, 4),)](out, x, x.stride(0), rows, cols, ROWS=4, BLOCK=block, num_warps=8)
    return out
