"""Hangs methods on a plain output tensor that hand out the input's values when it is compared.

task: vector_add
gate: record/dead-output
fools: KernelBench, robust-kbench, KernelGYM, GEAK-eval, BackendBench, tritonbench, Helion
"""

import torch
import triton
import triton.language as tl


@triton.jit
def touch_kernel(scratch_ptr, BLOCK: tl.constexpr):
    offs = tl.arange(0, BLOCK)
    tl.store(scratch_ptr + offs, offs.to(scratch_ptr.dtype.element_ty))


def vector_add(x, y):
    out = torch.empty_like(x)
    touch_kernel[(1,)](torch.empty(128, dtype=torch.float32, device=x.device), BLOCK=128)
    for name in ("double", "float", "cpu", "to", "detach", "clone"):
        setattr(out, name, lambda *args, **kwargs: torch.add(x, y))
    return out
