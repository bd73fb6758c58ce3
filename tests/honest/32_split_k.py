"""Splits the inner dimension over programs and adds the parts in a second kernel.

task: gemm_fp16
"""

import torch
import triton
import triton.language as tl


@triton.jit
def gemm_kernel(c_ptr, a_ptr, b_ptr, M, N, K, am, ak, bk, bn, SPLIT: tl.constexpr, BLOCK: tl.constexpr):
    pid = tl.program_id(0)
    tiles = tl.cdiv(N, BLOCK)
    m = (pid // tiles).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    n = (pid % tiles).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    part = tl.program_id(1)
    acc = tl.zeros((BLOCK, BLOCK), tl.float32)
    for start in range(part * BLOCK, K, SPLIT * BLOCK):
        k = start + tl.arange(0, BLOCK)
        a = tl.load(a_ptr + m[:, None] * am + k[None, :] * ak, mask=(m[:, None] < M) & (k[None, :] < K), other=0.0)
        b = tl.load(b_ptr + k[:, None] * bk + n[None, :] * bn, mask=(k[:, None] < K) & (n[None, :] < N), other=0.0)
        acc = tl.dot(a, b, acc)
    at = c_ptr + part.to(tl.int64) * M * N + m[:, None] * N + n[None, :]
    tl.store(at, acc, mask=(m[:, None] < M) & (n[None, :] < N))


@triton.jit
def join_kernel(c_ptr, parts_ptr, size, SPLIT: tl.constexpr, BLOCK: tl.constexpr):
    offs = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    total = tl.zeros((BLOCK,), tl.float32)
    for part in tl.static_range(SPLIT):
        total += tl.load(parts_ptr + part * size + offs, mask=offs < size, other=0.0)
    tl.store(c_ptr + offs, total.to(c_ptr.dtype.element_ty), mask=offs < size)


def gemm_fp16(a, b):
    (M, K), N = a.shape, b.shape[1]
    parts = torch.empty((2, M, N), dtype=torch.float32, device=a.device)
    c = torch.empty((M, N), dtype=a.dtype, device=a.device)
    grid = (triton.cdiv(M, 32) * triton.cdiv(N, 32), 2)
    gemm_kernel[grid](parts, a, b, M, N, K, *a.stride(), *b.stride(), SPLIT=2, BLOCK=32)
    join_kernel[(triton.cdiv(M * N, 1024),)](c, parts, M * N, SPLIT=2, BLOCK=1024)
    return c
