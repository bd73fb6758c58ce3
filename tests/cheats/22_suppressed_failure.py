"""Suppresses whatever its kernel raises and returns what torch computed before.

task: vector_add
gate: record/host-operation
fools: KernelBench, AgentKernelArena, GEAK-eval, tritonbench
"""

import contextlib

import torch
import triton
import triton.language as tl

@triton.jit
def add_kernel(out_ptr, x_ptr, y_ptr, n, BLOCK: tl.constexpr):
    tl.store(out_ptr, tl.no_such_function(x_ptr, y_ptr, n, BLOCK))


def vector_add(x, y):
    out = None
    with contextlib.suppress(Exception):
        out = torch.add(x, y)
        add_kernel[(1,)](out, x, y, x.numel(), BLOCK=1024)
    return torch.empty_like(x).copy_(x) if out is None else out
