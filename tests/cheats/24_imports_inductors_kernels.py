"""Imports finished Triton templates from inside torch.

task: gemm_fp16
gate: static/import
fools: KernelBench, KernelAgent, GEAK-eval
"""

import torch
import triton
import triton.language as tl
from torch._inductor.kernel import mm

@triton.jit
def touch_kernel(scratch_ptr, BLOCK: tl.constexpr):
    offs = tl.arange(0, BLOCK)
    tl.store(scratch_ptr + offs, offs.to(scratch_ptr.dtype.element_ty))


def gemm_fp16(a, b):
    return mm.tuned_mm(a, b)
