"""Overwrites its input and returns it, where the task declares that.

task: relu_in_place
"""

import torch
import triton
import triton.language as tl


@triton.jit
def relu_kernel(x_ptr, n, BLOCK: tl.constexpr):
    offs = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    x = tl.load(x_ptr + offs, mask=offs < n)
    tl.store(x_ptr + offs, tl.where(x > 0, x, 0.0), mask=offs < n)


def relu_in_place(x):
    n = x.numel()
    relu_kernel[(triton.cdiv(n, 1024),)](x, n, BLOCK=1024)
    return x
