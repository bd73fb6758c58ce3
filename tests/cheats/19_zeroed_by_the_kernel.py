"""Zeroes the input in its kernel and stores the zeros that the reference will then give.

task: flip
gate: correctness/input-changed
fools: robust-kbench, gpu-mode
"""

import torch
import triton
import triton.language as tl


@triton.jit
def clear_kernel(out_ptr, x_ptr, x_stride, cols, BLOCK: tl.constexpr):
    row = tl.program_id(1).to(tl.int64)
    offs = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    nothing = tl.zeros((BLOCK,), x_ptr.dtype.element_ty)
    tl.store(x_ptr + row * x_stride + offs, nothing, mask=offs < cols)
    tl.store(out_ptr + row * cols + offs, nothing, mask=offs < cols)


def flip(x):
    out = torch.empty_like(x)
    rows, cols = x.shape
    clear_kernel[(triton.cdiv(cols, 1024), rows)](out, x, x.stride(0), cols, BLOCK=1024)
    return out
