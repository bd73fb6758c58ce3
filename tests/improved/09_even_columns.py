"""No mask along rows where the number of columns is a multiple of the block."""
import torch
import triton
import triton.language as tl


@triton.jit
def weighted_kernel(out_ptr, x_ptr, w_ptr, cols, EVEN: tl.constexpr, BLOCK: tl.constexpr):
    row = tl.program_id(0)
    offs = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    if EVEN:
        x = tl.load(x_ptr + row * cols + offs)
        w = tl.load(w_ptr + offs)
        tl.store(out_ptr + row * cols + offs, tl.maximum(x * w, 0.0))
    else:
        x = tl.load(x_ptr + row * cols + offs, mask=offs < cols)
        w = tl.load(w_ptr + offs, mask=offs < cols)
        tl.store(out_ptr + row * cols + offs, tl.maximum(x * w, 0.0), mask=offs < cols)


def weighted(x, w):
    rows, cols = x.shape
    out = torch.empty_like(x)
    weighted_kernel[(rows, triton.cdiv(cols, 1024))](out, x, w, cols, EVEN=cols % 1024 == 0, BLOCK=1024, num_warps=4)
    return out
