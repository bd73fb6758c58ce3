"""Has torch.compile write the Triton kernel and calls it its own.

task: gelu_mul
gate: record/host-operation
fools: KernelBench, KernelAgent, GEAK-eval, AgentKernelArena
"""

import torch
import triton
import triton.language as tl


@triton.jit
def touch_kernel(scratch_ptr, BLOCK: tl.constexpr):
    offs = tl.arange(0, BLOCK)
    tl.store(scratch_ptr + offs, offs.to(scratch_ptr.dtype.element_ty))


def formula(x, y):
    return torch.nn.functional.gelu(x, approximate="tanh") * y


def gelu_mul(x, y):
    return torch.compile(formula, backend="eager")(x, y)
