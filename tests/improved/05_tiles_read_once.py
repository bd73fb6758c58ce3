"""Tiles whose elements are marked as read once, so that they push out nothing that is used again."""
import torch
import triton
import triton.language as tl


@triton.jit
def weighted_kernel(out_ptr, x_ptr, w_ptr, rows, cols, ROWS: tl.constexpr, BLOCK: tl.constexpr):
    row = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    offs = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    mask = (row < rows)[:, None] & (offs < cols)[None, :]
    place = row[:, None] * cols + offs[None, :]
    w = tl.load(w_ptr + offs, mask=offs < cols)
    x = tl.load(x_ptr + place, mask=mask, eviction_policy="evict_first")
    tl.store(out_ptr + place, tl.maximum(x * w[None, :], 0.0), mask=mask)


def weighted(x, w):
    rows, cols = x.shape
    out = torch.empty_like(x)
    grid = lambda meta: (triton.cdiv(rows, meta["ROWS"]), triton.cdiv(cols, meta["BLOCK"]))
    weighted_kernel[grid](out, x, w, rows, cols, ROWS=2, BLOCK=1024, num_warps=4)
    return out
