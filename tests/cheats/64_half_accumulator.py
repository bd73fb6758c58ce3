"""Accumulates the product in float16.

task: gemm_fp16
gate: correctness/wrong
fools: KernelBench, KernelGYM, GEAK-eval, flashinfer-bench
"""

import torch
import triton
import triton.language as tl


@triton.jit
def gemm_kernel(c_ptr, a_ptr, b_ptr, M, N, K, am, ak, bk, bn, BLOCK: tl.constexpr):
    m = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    n = tl.program_id(1).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    acc = tl.zeros((BLOCK, BLOCK), tl.float16)
    for start in range(0, K, 16):
        k = start + tl.arange(0, 16)
        a = tl.load(a_ptr + m[:, None] * am + k[None, :] * ak, mask=(m[:, None] < M) & (k[None, :] < K), other=0.0)
        b = tl.load(b_ptr + k[:, None] * bk + n[None, :] * bn, mask=(k[:, None] < K) & (n[None, :] < N), other=0.0)
        acc += tl.dot(a, b).to(tl.float16)
    tl.store(c_ptr + m[:, None] * N + n[None, :], acc, mask=(m[:, None] < M) & (n[None, :] < N))


def gemm_fp16(a, b):
    (M, K), N = a.shape, b.shape[1]
    c = torch.empty((M, N), dtype=a.dtype, device=a.device)
    grid = (triton.cdiv(M, 32), triton.cdiv(N, 32))
    gemm_kernel[grid](c, a, b, M, N, K, *a.stride(), *b.stride(), BLOCK=32)
    return c
