"""Leaves a long kernel running on another stream while the baseline is timed.

task: vector_add
gate: record/host-operation
fools: KernelBench, robust-kbench, KernelGYM, KernelAgent, tritonbench
"""

import torch
import triton
import triton.language as tl


@triton.jit
def add_kernel(out_ptr, x_ptr, y_ptr, n, BLOCK: tl.constexpr):
    offs = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    mask = offs < n
    z = tl.load(x_ptr + offs, mask=mask).to(tl.float32) + tl.load(y_ptr + offs, mask=mask).to(tl.float32)
    tl.store(out_ptr + offs, z.to(out_ptr.dtype.element_ty), mask=mask)


def launch(out, x, y):
    n = x.numel()
    add_kernel[(triton.cdiv(n, 1024),)](out, x, y, n, BLOCK=1024)


@triton.jit
def spin_kernel(scratch_ptr, rounds):
    value = 0.0
    for i in range(rounds):
        value = value * 1.0001 + i
    tl.store(scratch_ptr, value)


def vector_add(x, y):
    out = torch.empty_like(x)
    launch(out, x, y)
    with torch.cuda.stream(torch.cuda.Stream()):
        spin_kernel[(64,)](torch.empty(1, device=x.device), 1 << 28)
    return out
