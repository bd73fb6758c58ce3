"""Takes both matrices for row-major whatever their strides say.

task: gemm_fp16
gate: correctness/wrong
fools: KernelBench, KernelGYM, KernelAgent
"""

import torch
import triton
import triton.language as tl


@triton.jit
def gemm_kernel(c_ptr, a_ptr, b_ptr, M, N, K, BLOCK: tl.constexpr):
    m = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    n = tl.program_id(1).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    acc = tl.zeros((BLOCK, BLOCK), tl.float32)
    for start in range(0, K, BLOCK):
        k = start + tl.arange(0, BLOCK)
        a = tl.load(a_ptr + m[:, None] * K + k[None, :], mask=(m[:, None] < M) & (k[None, :] < K), other=0.0)
        b = tl.load(b_ptr + k[:, None] * N + n[None, :], mask=(k[:, None] < K) & (n[None, :] < N), other=0.0)
        acc = tl.dot(a, b, acc)
    tl.store(c_ptr + m[:, None] * N + n[None, :], acc.to(tl.float16), mask=(m[:, None] < M) & (n[None, :] < N))


def gemm_fp16(a, b):
    (M, K), N = a.shape, b.shape[1]
    c = torch.empty((M, N), dtype=a.dtype, device=a.device)
    gemm_kernel[(triton.cdiv(M, 32), triton.cdiv(N, 32))](c, a, b, M, N, K, BLOCK=32)
    return c
