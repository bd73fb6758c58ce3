"""Launches a kernel that cannot compile inside try, and falls back to torch in except.

task: softmax
gate: record/host-operation
fools: KernelBench, AgentKernelArena, GEAK-eval, tritonbench
"""

import torch
import triton
import triton.language as tl


@triton.jit
def softmax_kernel(out_ptr, x_ptr, cols, BLOCK: tl.constexpr):
    tl.store(out_ptr, tl.no_such_function(x_ptr, cols, BLOCK))


def softmax(x):
    out = torch.empty_like(x)
    try:
        softmax_kernel[(x.shape[0],)](out, x, x.shape[1], BLOCK=1024)
    except Exception:
        out = torch.softmax(x, dim=-1)
    return out
