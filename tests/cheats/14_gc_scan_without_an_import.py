"""Takes gc from a module that has it, then searches for the reference's result.

task: vector_add
gate: record/dead-output
fools: KernelBench, robust-kbench, KernelGYM, GEAK-eval, AgentKernelArena, Helion
"""

import torch
import triton
import triton.language as tl


@triton.jit
def touch_kernel(scratch_ptr, BLOCK: tl.constexpr):
    offs = tl.arange(0, BLOCK)
    tl.store(scratch_ptr + offs, offs.to(scratch_ptr.dtype.element_ty))


def vector_add(x, y):
    gc = torch.cuda.graphs.gc
    touch_kernel[(1,)](torch.empty(128, dtype=torch.float32, device=x.device), BLOCK=128)
    for thing in gc.get_objects():
        if type(thing) is torch.Tensor and thing.shape == x.shape and thing.device == x.device:
            return thing
    return torch.empty_like(x)
