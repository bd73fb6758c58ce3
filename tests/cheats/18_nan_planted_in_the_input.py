"""Plants a NaN in every row of the input so that a later reference is NaN, and stores NaN.

task: softmax
gate: correctness/input-changed
fools: pygpubench, BackendBench
"""

import torch
import triton
import triton.language as tl


@triton.jit
def plant_kernel(out_ptr, x_ptr, x_stride, cols, BLOCK: tl.constexpr):
    row = tl.program_id(0).to(tl.int64)
    offs = tl.arange(0, BLOCK)
    x = tl.load(x_ptr + row * x_stride + offs, mask=offs < cols, other=0.0).to(tl.float32) + float("nan")
    tl.store(x_ptr + row * x_stride + offs, x.to(x_ptr.dtype.element_ty), mask=offs < 1)
    tl.store(out_ptr + row * cols + offs, x.to(out_ptr.dtype.element_ty), mask=offs < cols)


def softmax(x):
    out = torch.empty_like(x)
    rows, cols = x.shape
    plant_kernel[(rows,)](out, x, x.stride(0), cols, BLOCK=triton.next_power_of_2(cols))
    return out
