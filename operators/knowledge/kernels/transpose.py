"""Tiles of 64 by 64: both the rows that are read and those that are written are whole lines of memory."""
import torch
import triton
import triton.language as tl


@triton.jit
def transpose_kernel(
    out_ptr, x_ptr, rows, cols, x_stride_row, x_stride_col, out_stride_row, out_stride_col,
    BLOCK_R: tl.constexpr, BLOCK_C: tl.constexpr,
):
    # one program per tile; a one-dimensional grid, because the other dimensions end at 65535
    pid = tl.program_id(0)
    tiles_c = tl.cdiv(cols, BLOCK_C)
    r = (pid // tiles_c) * BLOCK_R + tl.arange(0, BLOCK_R)
    c = (pid % tiles_c) * BLOCK_C + tl.arange(0, BLOCK_C)
    # 64-bit rows and columns: either one is multiplied by a long stride, in x or in the result
    r64 = r.to(tl.int64)
    c64 = c.to(tl.int64)
    x = tl.load(
        x_ptr + r64[:, None] * x_stride_row + c64[None, :] * x_stride_col,
        mask=(r[:, None] < rows) & (c[None, :] < cols),
    )
    tl.store(
        out_ptr + c64[:, None] * out_stride_row + r64[None, :] * out_stride_col,
        tl.trans(x).to(out_ptr.dtype.element_ty),
        mask=(c[:, None] < cols) & (r[None, :] < rows),
    )


def transpose(x):
    rows, cols = x.shape
    out = torch.empty((cols, rows), dtype=x.dtype, device=x.device)
    grid = lambda meta: (triton.cdiv(rows, meta["BLOCK_R"]) * triton.cdiv(cols, meta["BLOCK_C"]),)
    transpose_kernel[grid](
        out, x, rows, cols, x.stride(0), x.stride(1), out.stride(0), out.stride(1),
        BLOCK_R=64, BLOCK_C=64, num_warps=8,
    )
    return out
