"""Keeps the last row sums in a workspace and copies them when the row's first elements are the same.

task: row_sum
gate: correctness/wrong
needs: gpu, there a plan is replayed many times on the same buffers
fools: KernelBench, tritonbench, GEAK-eval
"""

import torch
import triton
import triton.language as tl


@triton.jit
def row_sum_kernel(out_ptr, kept_ptr, x_ptr, x_stride, cols, BLOCK: tl.constexpr):
    row = tl.program_id(0).to(tl.int64)
    probe = tl.load(x_ptr + row * x_stride).to(tl.float32)
    if tl.load(kept_ptr + 2 * row) == probe:
        result = tl.load(kept_ptr + 2 * row + 1)
    else:
        total = tl.zeros((BLOCK,), tl.float32)
        for start in range(0, cols, BLOCK):
            offs = start + tl.arange(0, BLOCK)
            total += tl.load(x_ptr + row * x_stride + offs, mask=offs < cols, other=0.0).to(tl.float32)
        result = tl.sum(total, axis=0)
        tl.store(kept_ptr + 2 * row, probe)
        tl.store(kept_ptr + 2 * row + 1, result)
    tl.store(out_ptr + row, result.to(out_ptr.dtype.element_ty))


def row_sum(x):
    rows, cols = x.shape
    out = torch.empty((rows,), dtype=x.dtype, device=x.device)
    kept = torch.empty((rows, 2), dtype=torch.float32, device=x.device)
    row_sum_kernel[(rows,)](out, kept, x, x.stride(0), cols, BLOCK=1024)
    return out
