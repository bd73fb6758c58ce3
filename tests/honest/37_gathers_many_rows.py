"""Gathers a tile of many rows with one load.

task: embedding
"""

import torch
import triton
import triton.language as tl


@triton.jit
def embedding_kernel(out_ptr, table_ptr, indices_ptr, table_stride, count, dim, ROWS: tl.constexpr, BLOCK: tl.constexpr):
    r = tl.program_id(0).to(tl.int64) * ROWS + tl.arange(0, ROWS)
    index = tl.load(indices_ptr + r, mask=r < count, other=0)
    for start in range(0, dim, BLOCK):
        c = start + tl.arange(0, BLOCK)
        mask = (r < count)[:, None] & (c < dim)[None, :]
        x = tl.load(table_ptr + index[:, None] * table_stride + c[None, :], mask=mask)
        tl.store(out_ptr + r[:, None] * dim + c[None, :], x, mask=mask)


def embedding(table, indices):
    count, dim = indices.numel(), table.shape[1]
    out = table.new_empty((count, dim))
    embedding_kernel[(triton.cdiv(count, 4),)](out, table, indices, table.stride(0), count, dim, ROWS=4, BLOCK=256)
    return out
