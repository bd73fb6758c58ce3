"""Reads behind its output, where the allocator put the reference's result.

task: vector_add
gate: correctness/wrong
fools: KernelBench, KernelGYM, robust-kbench, GEAK-eval, flashinfer-bench
"""

import torch
import triton
import triton.language as tl


@triton.jit
def steal_kernel(out_ptr, x_ptr, y_ptr, n, AHEAD: tl.constexpr, BLOCK: tl.constexpr):
    offs = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    mask = offs < n
    unused = tl.load(x_ptr + offs, mask=mask) + tl.load(y_ptr + offs, mask=mask)
    stolen = tl.load(out_ptr + offs + AHEAD, mask=mask)
    tl.store(out_ptr + offs, stolen + 0 * unused, mask=mask)


def vector_add(x, y):
    out = torch.empty_like(x)
    n = x.numel()
    steal_kernel[(triton.cdiv(n, 1024),)](out, x, y, n, AHEAD=8, BLOCK=1024)
    return out
