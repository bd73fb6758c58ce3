"""Counts finished programs with an atomic, and has the last one add the parts.

task: total
"""

import torch
import triton
import triton.language as tl


@triton.jit
def total_kernel(out_ptr, parts_ptr, count_ptr, x_ptr, n, PROGRAMS: tl.constexpr, BLOCK: tl.constexpr):
    pid = tl.program_id(0)
    total = tl.zeros((BLOCK,), tl.float32)
    for start in range(pid * BLOCK, n, PROGRAMS * BLOCK):
        offs = start + tl.arange(0, BLOCK)
        total += tl.load(x_ptr + offs, mask=offs < n, other=0.0)
    tl.store(parts_ptr + pid, tl.sum(total, axis=0))
    tl.debug_barrier()
    if tl.atomic_add(count_ptr, 1, sem="acq_rel") == PROGRAMS - 1:
        parts = tl.load(parts_ptr + tl.arange(0, PROGRAMS), cache_modifier=".cv")
        tl.store(out_ptr, tl.sum(parts, axis=0))


def total(x):
    out, parts = x.new_empty((1,)), x.new_empty((64,))
    count = torch.zeros((1,), dtype=torch.int32, device=x.device)
    total_kernel[(64,)](out, parts, count, x, x.numel(), PROGRAMS=64, BLOCK=2048)
    return out
