"""Writes its own wrong result over the input that the evaluator lends and compares with.

task: vector_add
gate: correctness/input-changed
fools: flashinfer-bench
"""

import torch
import triton
import triton.language as tl


@triton.jit
def overwrite_kernel(out_ptr, x_ptr, y_ptr, n, BLOCK: tl.constexpr):
    offs = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    mask = offs < n
    x = tl.load(x_ptr + offs, mask=mask)
    tl.store(y_ptr + offs, tl.zeros((BLOCK,), x.dtype), mask=mask)
    tl.store(out_ptr + offs, x, mask=mask)


def vector_add(x, y):
    out = torch.empty_like(x)
    n = x.numel()
    overwrite_kernel[(triton.cdiv(n, 1024),)](out, x, y, n, BLOCK=1024)
    return out
