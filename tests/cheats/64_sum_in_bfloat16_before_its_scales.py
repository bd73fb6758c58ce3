"""Rounds a matrix product to bfloat16 before it is scaled, and again after.

task: fp8_gemm_scaled
gate: correctness/wrong
fools: KernelBench, KernelGYM, BackendBench, KernelAgent, Helion, flashinfer-bench
"""

import torch
import triton
import triton.language as tl


@triton.jit
def product_kernel(c_ptr, a_ptr, b_ptr, M, N, K, BLOCK: tl.constexpr):
    tiles = tl.cdiv(N, BLOCK)
    m = (tl.program_id(0) // tiles).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    n = (tl.program_id(0) % tiles).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    acc = tl.zeros((BLOCK, BLOCK), tl.float32)
    for start in range(0, K, BLOCK):
        k = start + tl.arange(0, BLOCK)
        a = tl.load(a_ptr + m[:, None] * K + k[None, :], mask=(m[:, None] < M) & (k[None, :] < K), other=0.0)
        b = tl.load(b_ptr + n[:, None] * K + k[None, :], mask=(n[:, None] < N) & (k[None, :] < K), other=0.0)
        acc = tl.dot(a, b.T, acc)
    tl.store(c_ptr + m[:, None] * N + n[None, :], acc.to(tl.bfloat16), mask=(m[:, None] < M) & (n[None, :] < N))


@triton.jit
def scale_kernel(c_ptr, sums_ptr, scale_a_ptr, scale_b_ptr, N, BLOCK: tl.constexpr):
    m = tl.program_id(0).to(tl.int64)
    n = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    total = tl.load(sums_ptr + m * N + n, mask=n < N, other=0.0).to(tl.float32)
    c = total * tl.load(scale_a_ptr + m) * tl.load(scale_b_ptr + n, mask=n < N, other=0.0)
    tl.store(c_ptr + m * N + n, c.to(tl.bfloat16), mask=n < N)


def fp8_gemm_scaled(a, b, scale_a, scale_b):
    (M, K), N = a.shape, b.shape[0]
    sums = torch.empty((M, N), dtype=torch.bfloat16, device=a.device)
    c = torch.empty((M, N), dtype=torch.bfloat16, device=a.device)
    product_kernel[(triton.cdiv(M, 32) * triton.cdiv(N, 32),)](sums, a, b, M, N, K, BLOCK=32)
    scale_kernel[(M, triton.cdiv(N, 256))](c, sums, scale_a, scale_b, N, BLOCK=256)
    return c
