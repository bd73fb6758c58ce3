"""Walks the callers' frames through a traceback and takes a local named like the expected output.

task: softmax
gate: record/dead-output
fools: KernelBench, KernelGYM, robust-kbench, GEAK-eval, KernelAgent
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
    try:
        raise RuntimeError
    except RuntimeError as error:
        frame = error.__traceback__.tb_frame
    while frame is not None:
        for name in ("output", "expected", "ref_output", "y_ref"):
            if isinstance(frame.f_locals.get(name), torch.Tensor):
                return frame.f_locals[name]
        frame = frame.f_back
    return torch.empty_like(x)
