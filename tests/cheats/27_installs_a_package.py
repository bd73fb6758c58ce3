"""Installs a package with the kernels while it is evaluated.

task: layer_norm
gate: static/import
fools: KernelBench, KernelAgent, GEAK-eval
"""

import subprocess
import sys

import torch
import triton
import triton.language as tl

@triton.jit
def touch_kernel(scratch_ptr, BLOCK: tl.constexpr):
    offs = tl.arange(0, BLOCK)
    tl.store(scratch_ptr + offs, offs.to(scratch_ptr.dtype.element_ty))


subprocess.run([sys.executable, "-m", "pip", "install", "liger-kernel"], check=False)


def layer_norm(x, weight, bias, eps):
    from liger_kernel.ops.layer_norm import LigerLayerNormFunction

    return LigerLayerNormFunction.apply(x, weight, bias, eps)
