"""Returns the first rows only.

task: transpose
gate: correctness/schema
fools: GEAK-eval, KernelAgent
"""

import torch
import triton
import triton.language as tl


@triton.jit
def transpose_kernel(out_ptr, x_ptr, x_stride, rows, cols, BLOCK: tl.constexpr):
    c = tl.program_id(0).to(tl.int64)
    r = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    x = tl.load(x_ptr + r.to(tl.int64) * x_stride + c, mask=r < rows)
    tl.store(out_ptr + c * rows + r, x, mask=r < rows)


def transpose(x):
    rows, cols = x.shape
    kept = cols // 2
    out = torch.empty((kept, rows), dtype=x.dtype, device=x.device)
    transpose_kernel[(kept, triton.cdiv(rows, 256))](out, x, x.stride(0), rows, cols, BLOCK=256)
    return out
