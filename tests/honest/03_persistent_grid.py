"""Launches as many programs as the chip can hold, each of which walks over many blocks.

task: vector_add
"""

import torch
import triton
import triton.language as tl


@triton.jit
def add_kernel(out_ptr, x_ptr, y_ptr, n, BLOCK: tl.constexpr):
    for block in range(tl.program_id(0), tl.cdiv(n, BLOCK), tl.num_programs(0)):
        offs = block * tl.full((1,), BLOCK, tl.int64) + tl.arange(0, BLOCK)
        mask = offs < n
        z = tl.load(x_ptr + offs, mask=mask).to(tl.float32) + tl.load(y_ptr + offs, mask=mask).to(tl.float32)
        tl.store(out_ptr + offs, z.to(out_ptr.dtype.element_ty), mask=mask)


def vector_add(x, y):
    out = torch.empty_like(x)
    n = x.numel()
    units = torch.cuda.get_device_properties(x.device).multi_processor_count
    add_kernel[(min(8 * units, triton.cdiv(n, 1024)),)](out, x, y, n, BLOCK=1024)
    return out
