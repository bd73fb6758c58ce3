"""Tiles whose rows are known to begin at multiples of 16 elements where they do, for wide accesses."""
import torch
import triton
import triton.language as tl


@triton.jit
def weighted_kernel(out_ptr, x_ptr, w_ptr, rows, cols, EVEN: tl.constexpr, ROWS: tl.constexpr, BLOCK: tl.constexpr):
    if EVEN:
        cols = tl.multiple_of(cols, 16)
    row = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    offs = tl.program_id(1) * BLOCK + tl.max_contiguous(tl.arange(0, BLOCK), BLOCK)
    mask = (row < rows)[:, None] & (offs < cols)[None, :]
    place = row[:, None] * cols + offs[None, :]
    w = tl.load(w_ptr + offs, mask=offs < cols)
    x = tl.load(x_ptr + place, mask=mask)
    tl.store(out_ptr + place, tl.maximum(x * w[None, :], 0.0), mask=mask)


def weighted(x, w):
    rows, cols = x.shape
    out = torch.empty_like(x)
    grid = (triton.cdiv(rows, 8), triton.cdiv(cols, 256))
    weighted_kernel[grid](out, x, w, rows, cols, EVEN=cols % 16 == 0, ROWS=8, BLOCK=256, num_warps=4)
    return out
