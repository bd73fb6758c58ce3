"""Compares the first element of its block in the output with the answer, and skips the block if it is there.

task: vector_add
gate: correctness/wrong
needs: gpu, there outputs are poisoned in part between replays of equal data
fools: KernelBench, tritonbench, GEAK-eval
"""

import torch
import triton
import triton.language as tl


@triton.jit
def add_kernel(out_ptr, x_ptr, y_ptr, n, BLOCK: tl.constexpr):
    first = tl.program_id(0).to(tl.int64) * BLOCK
    wanted = (tl.load(x_ptr + first).to(tl.float32) + tl.load(y_ptr + first).to(tl.float32)).to(out_ptr.dtype.element_ty)
    if tl.load(out_ptr + first) != wanted:
        offs = first + tl.arange(0, BLOCK)
        mask = offs < n
        z = tl.load(x_ptr + offs, mask=mask).to(tl.float32) + tl.load(y_ptr + offs, mask=mask).to(tl.float32)
        tl.store(out_ptr + offs, z.to(out_ptr.dtype.element_ty), mask=mask)


def vector_add(x, y):
    out = torch.empty_like(x)
    n = x.numel()
    add_kernel[(triton.cdiv(n, 1024),)](out, x, y, n, BLOCK=1024)
    return out
