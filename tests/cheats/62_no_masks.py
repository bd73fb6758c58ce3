"""Leaves all masks out: shapes in tests are powers of two, and the allocator rounds up.

task: vector_add
gate: correctness/out-of-bounds
fools: KernelBench, KernelGYM, KernelAgent, BackendBench, GEAK-eval
"""

import torch
import triton
import triton.language as tl


@triton.jit
def add_kernel(out_ptr, x_ptr, y_ptr, n, BLOCK: tl.constexpr):
    offs = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    z = tl.load(x_ptr + offs).to(tl.float32) + tl.load(y_ptr + offs).to(tl.float32)
    tl.store(out_ptr + offs, z.to(out_ptr.dtype.element_ty))


def vector_add(x, y):
    out = torch.empty_like(x)
    n = x.numel()
    add_kernel[(triton.cdiv(n, 1024),)](out, x, y, n, BLOCK=1024)
    return out
