"""Computes block shapes from constants inside the kernel and picks code by them.

task: flip
"""

import torch
import triton
import triton.language as tl


@triton.jit
def flip_kernel(out_ptr, x_ptr, x_stride, cols, LOG: tl.constexpr, REVERSED_STORE: tl.constexpr):
    BLOCK: tl.constexpr = 2**LOG
    tl.static_assert(BLOCK <= 4096, "too wide")
    pid = tl.program_id(0)
    blocks = tl.cdiv(cols, BLOCK)
    row = (pid // blocks).to(tl.int64)
    near = (pid % blocks) * BLOCK + tl.arange(0, BLOCK)
    far = cols - 1 - near
    if REVERSED_STORE:
        tl.store(out_ptr + row * cols + far, tl.load(x_ptr + row * x_stride + near, mask=near < cols), mask=near < cols)
    else:
        tl.store(out_ptr + row * cols + near, tl.load(x_ptr + row * x_stride + far, mask=near < cols), mask=near < cols)


def flip(x):
    out = torch.empty_like(x)
    rows, cols = x.shape
    flip_kernel[(rows * triton.cdiv(cols, 1024),)](out, x, x.stride(0), cols, LOG=10, REVERSED_STORE=True)
    return out
