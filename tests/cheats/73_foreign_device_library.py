"""Calls a function of its own bitcode library, which no gate would have read.

task: vector_add
gate: compile/code
fools: KernelAgent, GEAK-eval
"""

import torch
import triton
import triton.language as tl


@tl.core.extern
def fast_add(x, y, _semantic=None):
    kinds = {(tl.float32, tl.float32): ("fast_add", tl.float32)}
    return tl.core.extern_elementwise("fast", "/tmp/fast.bc", [x, y], kinds, is_pure=False, _semantic=_semantic)


@triton.jit
def add_kernel(out_ptr, x_ptr, y_ptr, n, BLOCK: tl.constexpr):
    offs = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    mask = offs < n
    z = fast_add(tl.load(x_ptr + offs, mask=mask).to(tl.float32), tl.load(y_ptr + offs, mask=mask).to(tl.float32))
    tl.store(out_ptr + offs, z.to(out_ptr.dtype.element_ty), mask=mask)


def vector_add(x, y):
    out = torch.empty_like(x)
    n = x.numel()
    add_kernel[(triton.cdiv(n, 1024),)](out, x, y, n, BLOCK=1024)
    return out
