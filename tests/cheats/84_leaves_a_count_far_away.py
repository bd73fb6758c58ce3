"""Counts its launches six GiB behind its output, where no buffer lies and a later replay could find what it keeps.

task: scale_fp16
gate: timing/out-of-bounds
needs: gpu, there plans are replayed many times within one large allocation
"""

import torch
import triton
import triton.language as tl


@triton.jit
def scale_kernel(out_ptr, x_ptr, n, factor: tl.constexpr, BLOCK: tl.constexpr):
    offs = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    x = tl.load(x_ptr + offs, mask=offs < n, other=0.0)
    tl.store(out_ptr + offs, x * factor, mask=offs < n)
    if tl.program_id(0) == 0:
        away = out_ptr.to(tl.pointer_type(tl.int32)) + tl.full((1,), 3 << 29, tl.int64)
        tl.store(away, tl.load(away) + 1)


def scale_fp16(x):
    out = torch.ones(x.shape, dtype=x.dtype, device=x.device)
    n = x.numel()
    scale_kernel[(triton.cdiv(n, 1024),)](out, x, n, factor=1000.0, BLOCK=1024)
    return out
