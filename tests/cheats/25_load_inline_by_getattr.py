"""Reaches the C++ extension loader through attributes put together from pieces.

task: gemm_fp16
gate: record/exception
fools: KernelBench, KernelAgent, GEAK-eval
"""

import torch
import triton
import triton.language as tl


@triton.jit
def touch_kernel(scratch_ptr, BLOCK: tl.constexpr):
    offs = tl.arange(0, BLOCK)
    tl.store(scratch_ptr + offs, offs.to(scratch_ptr.dtype.element_ty))


def gemm_fp16(a, b):
    build = getattr(getattr(torch.utils, "cpp_" + "extension"), "load_" + "inline")
    source = "torch::Tensor run(torch::Tensor a, torch::Tensor b) { return torch::mm(a, b); }"
    return build("fast", cpp_sources=source, functions=["run"]).run(a, b)
