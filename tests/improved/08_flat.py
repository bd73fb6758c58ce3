"""The matrix as one long vector: every program has a whole block, whatever the length of a row."""
import torch
import triton
import triton.language as tl


@triton.jit
def weighted_kernel(out_ptr, x_ptr, w_ptr, cols, count, BLOCK: tl.constexpr):
    offs = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    x = tl.load(x_ptr + offs, mask=offs < count)
    w = tl.load(w_ptr + offs % cols, mask=offs < count)
    tl.store(out_ptr + offs, tl.maximum(x * w, 0.0), mask=offs < count)


def weighted(x, w):
    out = torch.empty_like(x)
    count = x.numel()
    grid = lambda meta: (triton.cdiv(count, meta["BLOCK"]),)
    weighted_kernel[grid](out, x, w, x.shape[1], count, BLOCK=1024, num_warps=4)
    return out
