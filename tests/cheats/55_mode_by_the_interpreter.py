"""Defines the right kernel where TRITON_INTERPRET is set and a fast wrong one everywhere else.

task: vector_add
gate: correctness/wrong
needs: gpu, only the compiled code shows what it does there
fools: GEAK-eval, AgentKernelArena
"""

import torch
import triton
import triton.language as tl


@triton.jit
def right(x, y):
    return x.to(tl.float32) + y.to(tl.float32)


@triton.jit
def fast(x, y):
    return x.to(tl.float32)


combine = right if torch.os.environ.get("TRITON_INTERPRET") == "1" else fast


@triton.jit
def add_kernel(out_ptr, x_ptr, y_ptr, n, BLOCK: tl.constexpr):
    offs = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    mask = offs < n
    z = combine(tl.load(x_ptr + offs, mask=mask), tl.load(y_ptr + offs, mask=mask))
    tl.store(out_ptr + offs, z.to(out_ptr.dtype.element_ty), mask=mask)


def vector_add(x, y):
    out = torch.empty_like(x)
    n = x.numel()
    add_kernel[(triton.cdiv(n, 1024),)](out, x, y, n, BLOCK=1024)
    return out
