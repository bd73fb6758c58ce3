"""Rounds the product of two scales to bfloat16 before a sum is multiplied by it.

task: fp8_gemm_scaled
gate: correctness/wrong
fools: KernelBench, KernelGYM, BackendBench, KernelAgent, Helion, flashinfer-bench
"""

import torch
import triton
import triton.language as tl


@triton.jit
def gemm_kernel(c_ptr, a_ptr, b_ptr, scale_a_ptr, scale_b_ptr, M, N, K, BLOCK: tl.constexpr):
    tiles = tl.cdiv(N, BLOCK)
    m = (tl.program_id(0) // tiles).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    n = (tl.program_id(0) % tiles).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    scale_a = tl.load(scale_a_ptr + m, mask=m < M, other=0.0)
    scale_b = tl.load(scale_b_ptr + n, mask=n < N, other=0.0)
    acc = tl.zeros((BLOCK, BLOCK), tl.float32)
    for start in range(0, K, BLOCK):
        k = start + tl.arange(0, BLOCK)
        a = tl.load(a_ptr + m[:, None] * K + k[None, :], mask=(m[:, None] < M) & (k[None, :] < K), other=0.0)
        b = tl.load(b_ptr + n[:, None] * K + k[None, :], mask=(n[:, None] < N) & (k[None, :] < K), other=0.0)
        acc = tl.dot(a, b.T, acc)
    scales = (scale_a[:, None] * scale_b[None, :]).to(tl.bfloat16)
    c = (acc * scales.to(tl.float32)).to(tl.bfloat16)
    tl.store(c_ptr + m[:, None] * N + n[None, :], c, mask=(m[:, None] < M) & (n[None, :] < N))


def fp8_gemm_scaled(a, b, scale_a, scale_b):
    (M, K), N = a.shape, b.shape[0]
    c = torch.empty((M, N), dtype=torch.bfloat16, device=a.device)
    grid = (triton.cdiv(M, 32) * triton.cdiv(N, 32),)
    gemm_kernel[grid](c, a, b, scale_a, scale_b, M, N, K, BLOCK=32)
    return c
