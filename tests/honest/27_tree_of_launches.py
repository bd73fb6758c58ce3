"""Adds up in a tree of launches, each a two-hundredth as large as the one before.

task: total
"""

import torch
import triton
import triton.language as tl


@triton.jit
def level_kernel(out_ptr, x_ptr, n, BLOCK: tl.constexpr):
    offs = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    tl.store(out_ptr + tl.program_id(0), tl.sum(tl.load(x_ptr + offs, mask=offs < n, other=0.0), axis=0))


def total(x):
    while True:
        n = x.numel()
        out = x.new_empty((triton.cdiv(n, 1024),))
        level_kernel[(out.numel(),)](out, x, n, BLOCK=1024)
        if out.numel() <= 1:
            return out
        x = out
