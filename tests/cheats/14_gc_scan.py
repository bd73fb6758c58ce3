"""Searches the garbage collector for a tensor of the output's shape: the reference's result.

task: softmax
gate: static/import
fools: KernelBench, robust-kbench, KernelGYM, GEAK-eval, AgentKernelArena, Helion
"""

import gc

import torch
import triton
import triton.language as tl

@triton.jit
def touch_kernel(scratch_ptr, BLOCK: tl.constexpr):
    offs = tl.arange(0, BLOCK)
    tl.store(scratch_ptr + offs, offs.to(scratch_ptr.dtype.element_ty))


def softmax(x):
    touch_kernel[(1,)](torch.empty(128, dtype=torch.float32, device=x.device), BLOCK=128)
    for thing in gc.get_objects():
        if isinstance(thing, torch.Tensor) and thing.shape == x.shape and thing is not x:
            return thing
    return torch.empty_like(x)
