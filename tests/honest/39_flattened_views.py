"""Flattens its inputs and its output with views, and keeps the first dimension apart.

task: gelu_mul
"""

import torch
import triton
import triton.language as tl


@triton.jit
def gelu_kernel(out_ptr, x_ptr, y_ptr, n, BLOCK: tl.constexpr):
    start = tl.program_id(0).to(tl.int64) * BLOCK
    offs = tl.max_contiguous(tl.arange(0, BLOCK), BLOCK)
    mask = offs < n - start
    x = tl.load(x_ptr + start + offs, mask=mask, other=0.0).to(tl.float32)
    y = tl.load(y_ptr + start + offs, mask=mask, other=0.0).to(tl.float32)
    z = x * (1.5957691216057308 + 0.07135481627159977 * x * x)
    gate = 1 / (1 + tl.exp2(-1.4426950408889634 * z))
    tl.store(out_ptr + start + offs, (x * gate * y).to(out_ptr.dtype.element_ty), mask=mask)


def gelu_mul(x, y):
    out = torch.empty(x.shape, dtype=x.dtype, device=x.device)
    a, b, c = (t.reshape(-1).unsqueeze(0).squeeze(0) for t in (x, y, out))
    gelu_kernel[(triton.cdiv(c.shape[0], 512),)](c, a, b, c.shape[0], BLOCK=512, num_warps=2)
    return c.view(x.shape)
