"""The same, its rows written out one after another, so that their loads do not wait for each other."""
import torch
import triton
import triton.language as tl


@triton.jit
def weighted_kernel(out_ptr, x_ptr, w_ptr, rows, cols, ROWS: tl.constexpr, BLOCK: tl.constexpr):
    offs = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    w = tl.load(w_ptr + offs, mask=offs < cols)
    for step in tl.static_range(ROWS):
        row = tl.program_id(0) * ROWS + step
        mask = (offs < cols) & (row < rows)
        x = tl.load(x_ptr + row * cols + offs, mask=mask)
        tl.store(out_ptr + row * cols + offs, tl.maximum(x * w, 0.0), mask=mask)


def weighted(x, w):
    rows, cols = x.shape
    out = torch.empty_like(x)
    grid = lambda meta: (triton.cdiv(rows, meta["ROWS"]), triton.cdiv(cols, meta["BLOCK"]))
    weighted_kernel[grid](out, x, w, rows, cols, ROWS=4, BLOCK=512, num_warps=2)
    return out
