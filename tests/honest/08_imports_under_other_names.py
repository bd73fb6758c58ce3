"""Imports jit, cdiv and what it needs of torch by their names, and neither torch nor triton.

task: vector_add
"""

import triton.language as tl
from torch import Tensor, empty_like
from triton import cdiv, jit


@jit
def add_kernel(out_ptr, x_ptr, y_ptr, n, BLOCK: tl.constexpr):
    offs = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    mask = offs < n
    z = tl.load(x_ptr + offs, mask=mask).to(tl.float32) + tl.load(y_ptr + offs, mask=mask).to(tl.float32)
    tl.store(out_ptr + offs, z.to(out_ptr.dtype.element_ty), mask=mask)


def vector_add(x: Tensor, y: Tensor) -> Tensor:
    out = empty_like(x)
    add_kernel[(cdiv(x.numel(), 1024),)](out, x, y, x.numel(), BLOCK=1024)
    return out
