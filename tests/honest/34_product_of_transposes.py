"""Computes the transpose of the product from transposes of the operands.

task: gemm_fp16
"""

import torch
import triton
import triton.language as tl


@triton.jit
def gemm_kernel(c_ptr, a_ptr, b_ptr, M, N, K, am, ak, bk, bn, BLOCK: tl.constexpr):
    tiles = tl.cdiv(N, BLOCK)
    m = (tl.program_id(0) // tiles).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    n = (tl.program_id(0) % tiles).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    acc = tl.zeros((BLOCK, BLOCK), tl.float32)
    for start in tl.range(0, K, BLOCK, num_stages=3):
        k = start + tl.arange(0, BLOCK)
        a = tl.load(a_ptr + m[:, None] * am + k[None, :] * ak, mask=(m[:, None] < M) & (k[None, :] < K), other=0.0)
        b = tl.load(b_ptr + k[:, None] * bk + n[None, :] * bn, mask=(k[:, None] < K) & (n[None, :] < N), other=0.0)
        acc += tl.dot(tl.trans(b), tl.trans(a))
    at = c_ptr + m[None, :] * N + n[:, None]
    tl.store(at, acc.to(c_ptr.dtype.element_ty), mask=(m[None, :] < M) & (n[:, None] < N))


def gemm_fp16(a, b):
    (M, K), N = a.shape, b.shape[1]
    c = torch.empty((M, N), dtype=a.dtype, device=a.device)
    grid = (triton.cdiv(M, 32) * triton.cdiv(N, 32),)
    gemm_kernel[grid](c, a, b, M, N, K, *a.stride(), *b.stride(), BLOCK=32, num_warps=2)
    return c
