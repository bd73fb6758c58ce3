"""Hides a cache by shape behind functools.lru_cache on what looks like an allocator.

task: vector_add
gate: record/stale
fools: KernelBench, robust-kbench, KernelGYM, BackendBench, KernelAgent, tritonbench, GEAK-eval, flashinfer-bench
"""

import functools

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


@functools.lru_cache(maxsize=None)
def output_for(shape, dtype, device):
    return [torch.empty(shape, dtype=dtype, device=device), False]


def vector_add(x, y):
    slot = output_for(tuple(x.shape), x.dtype, x.device)
    if not slot[1]:
        launch(slot[0], x, y)
        slot[1] = True
    return slot[0]
