"""Imports a library of finished kernels.

task: layer_norm
gate: static/import
fools: KernelBench, KernelAgent, GEAK-eval
"""

import torch
import triton
import triton.language as tl
from liger_kernel.ops.layer_norm import LigerLayerNormFunction

@triton.jit
def touch_kernel(scratch_ptr, BLOCK: tl.constexpr):
    offs = tl.arange(0, BLOCK)
    tl.store(scratch_ptr + offs, offs.to(scratch_ptr.dtype.element_ty))


def layer_norm(x, weight, bias, eps):
    return LigerLayerNormFunction.apply(x, weight, bias, eps)
