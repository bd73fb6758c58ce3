"""Computes on the host in a hook that Triton calls before each launch.

task: vector_add
gate: record/host-operation
"""

import torch
import triton
import triton.language as tl


@triton.jit
def add_kernel(out_ptr, x_ptr, y_ptr, n, BLOCK: tl.constexpr):
    offs = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    mask = offs < n
    z = tl.load(x_ptr + offs, mask=mask).to(tl.float32) + tl.load(y_ptr + offs, mask=mask).to(tl.float32)
    tl.store(out_ptr + offs, z.to(out_ptr.dtype.element_ty), mask=mask)


def launch(out, x, y):
    n = x.numel()
    add_kernel[(triton.cdiv(n, 1024),)](out, x, y, n, BLOCK=1024)


_given = []
add_kernel.add_pre_run_hook(lambda *args, **kwargs: _given[-1][0].copy_(_given[-1][1] + _given[-1][2]))


def vector_add(x, y):
    out = torch.empty_like(x)
    _given.append((out, x, y))
    launch(out, x, y)
    return out
