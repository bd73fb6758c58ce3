"""Returns torch.zeros after a decoy launch.

task: softmax
gate: record/dead-output
fools: KernelBench, GEAK-eval
"""

import torch
import triton
import triton.language as tl


@triton.jit
def touch_kernel(scratch_ptr, BLOCK: tl.constexpr):
    offs = tl.arange(0, BLOCK)
    tl.store(scratch_ptr + offs, offs.to(scratch_ptr.dtype.element_ty))


def softmax(x):
    touch_kernel[(1,)](torch.empty(128, dtype=torch.float32, device=x.device), BLOCK=128)
    return torch.zeros_like(x)
