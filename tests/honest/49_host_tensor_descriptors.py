"""Makes its tensor descriptors on the host where rows are whole, and masks what is left.

task: vector_add
"""

import torch
import triton
import triton.language as tl
from triton.tools.tensor_descriptor import TensorDescriptor


@triton.jit
def add_kernel(out_ptr, x_ptr, y_ptr, n, BLOCK: tl.constexpr):
    place = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    z = tl.load(x_ptr + place, mask=place < n).to(tl.float32) + tl.load(y_ptr + place, mask=place < n).to(tl.float32)
    tl.store(out_ptr + place, z.to(out_ptr.dtype.element_ty), mask=place < n)


@triton.jit
def add_rows_kernel(out, given, other, BLOCK: tl.constexpr):
    row, column = tl.program_id(1), tl.program_id(0) * BLOCK
    z = given.load([row, column]).to(tl.float32) + other.load([row, column]).to(tl.float32)
    out.store([row, column], z.to(out.dtype))


def vector_add(x, y):
    out = torch.empty_like(x)
    n = x.numel()
    for start in range(0, n, 1 << 30):  # places are counted in 32 bits
        parts = [t[start : start + (1 << 30)] for t in (out, x, y)]
        count = parts[0].numel()
        if count % 2048:
            add_kernel[(triton.cdiv(count, 256),)](*parts, count, BLOCK=256)
        else:
            rows = [TensorDescriptor(t, [count // 2048, 2048], [2048, 1], [1, 128]) for t in parts]
            add_rows_kernel[(16, count // 2048)](*rows, BLOCK=128)
    return out
