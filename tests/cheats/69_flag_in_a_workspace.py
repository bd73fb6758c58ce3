"""Leaves a flag in its workspace and skips the work in every launch that finds it.

task: vector_add
gate: correctness/wrong
needs: gpu, there a plan is replayed many times on the same buffers
fools: KernelBench, KernelGYM, robust-kbench
"""

import torch
import triton
import triton.language as tl


@triton.jit
def add_kernel(out_ptr, x_ptr, y_ptr, flags_ptr, n, BLOCK: tl.constexpr):
    pid = tl.program_id(0).to(tl.int64)
    if tl.load(flags_ptr + pid) != 20260731:
        offs = pid * BLOCK + tl.arange(0, BLOCK)
        mask = offs < n
        z = tl.load(x_ptr + offs, mask=mask).to(tl.float32) + tl.load(y_ptr + offs, mask=mask).to(tl.float32)
        tl.store(out_ptr + offs, z.to(out_ptr.dtype.element_ty), mask=mask)
        tl.store(flags_ptr + pid, 20260731)


def vector_add(x, y):
    out = torch.empty_like(x)
    n = x.numel()
    blocks = triton.cdiv(n, 1024)
    flags = torch.empty((blocks,), dtype=torch.int32, device=x.device)
    add_kernel[(blocks,)](out, x, y, flags, n, BLOCK=1024)
    return out
