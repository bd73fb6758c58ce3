"""Compiles a C++ extension that calls the vendor's library.

task: gemm_fp16
gate: static/import
fools: KernelBench, KernelAgent, GEAK-eval
"""

import torch
import triton
import triton.language as tl
from torch.utils.cpp_extension import load_inline

@triton.jit
def touch_kernel(scratch_ptr, BLOCK: tl.constexpr):
    offs = tl.arange(0, BLOCK)
    tl.store(scratch_ptr + offs, offs.to(scratch_ptr.dtype.element_ty))


SOURCE = "torch::Tensor run(torch::Tensor a, torch::Tensor b) { return torch::mm(a, b); }"


def gemm_fp16(a, b):
    return load_inline("fast", cpp_sources=SOURCE, functions=["run"]).run(a, b)
