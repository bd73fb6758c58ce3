"""Takes numbers from constants of the module.

task: gelu_mul
"""

import math

import torch
import triton
import triton.language as tl

TWICE_ROOT: tl.constexpr = tl.constexpr(2 * math.sqrt(2 / math.pi))
CUBE = tl.constexpr(0.044715)
BLOCK_SIZE = 1024


@triton.jit
def gelu_kernel(out_ptr, x_ptr, y_ptr, n, BLOCK: tl.constexpr):
    offs = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    mask = offs < n
    x = tl.load(x_ptr + offs, mask=mask, other=0.0).to(tl.float32)
    y = tl.load(y_ptr + offs, mask=mask, other=0.0).to(tl.float32)
    z = TWICE_ROOT * (x + CUBE * x * x * x)
    tl.store(out_ptr + offs, (x * tl.sigmoid(z) * y).to(out_ptr.dtype.element_ty), mask=mask)


def gelu_mul(x, y):
    out = torch.empty_like(x)
    n = x.numel()
    gelu_kernel[(triton.cdiv(n, BLOCK_SIZE),)](out, x, y, n, BLOCK=BLOCK_SIZE)
    return out
