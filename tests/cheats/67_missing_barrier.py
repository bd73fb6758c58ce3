"""Has the last program of a row add what the others have stored, without waiting for them.

task: row_sum
gate: correctness/wrong
needs: gpu, the interpreter runs one program after another
fools: KernelBench, KernelGYM, KernelAgent, BackendBench, GEAK-eval
"""

import torch
import triton
import triton.language as tl


@triton.jit
def row_sum_kernel(out_ptr, parts_ptr, x_ptr, x_stride, cols, PARTS: tl.constexpr, BLOCK: tl.constexpr):
    row = tl.program_id(0).to(tl.int64)
    part = tl.program_id(1)
    parts = tl.num_programs(1)
    total = tl.zeros((BLOCK,), tl.float32)
    for start in range(part * BLOCK, cols, parts * BLOCK):
        offs = start + tl.arange(0, BLOCK)
        total += tl.load(x_ptr + row * x_stride + offs, mask=offs < cols, other=0.0).to(tl.float32)
    tl.store(parts_ptr + row * PARTS + part, tl.sum(total, axis=0))
    if part == parts - 1:
        each = tl.load(parts_ptr + row * PARTS + tl.arange(0, PARTS))
        tl.store(out_ptr + row, tl.sum(each, axis=0).to(out_ptr.dtype.element_ty))


def row_sum(x):
    rows, cols = x.shape
    out = torch.empty((rows,), dtype=x.dtype, device=x.device)
    parts = torch.empty((rows, 32), dtype=torch.float32, device=x.device)
    row_sum_kernel[(rows, 32)](out, parts, x, x.stride(0), cols, PARTS=32, BLOCK=1024)
    return out
