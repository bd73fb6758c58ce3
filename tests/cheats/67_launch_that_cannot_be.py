"""Asks for more shared memory than the chip has: the launch fails silently and old memory shows.

task: gemm_fp16
gate: compile/resources
fools: KernelBench, GEAK-eval, AgentKernelArena
"""

import torch
import triton
import triton.language as tl


@triton.jit
def gemm_kernel(c_ptr, a_ptr, b_ptr, M, N, K, am, ak, bk, bn, BLOCK: tl.constexpr, STEP: tl.constexpr):
    m = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    n = tl.program_id(1).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    acc = tl.zeros((BLOCK, BLOCK), tl.float32)
    for start in tl.range(0, K, STEP, num_stages=6):
        k = start + tl.arange(0, STEP)
        a = tl.load(a_ptr + m[:, None] * am + k[None, :] * ak, mask=(m[:, None] < M) & (k[None, :] < K), other=0.0)
        b = tl.load(b_ptr + k[:, None] * bk + n[None, :] * bn, mask=(k[:, None] < K) & (n[None, :] < N), other=0.0)
        acc = tl.dot(a, b, acc)
    tl.store(c_ptr + m[:, None] * N + n[None, :], acc.to(tl.float16), mask=(m[:, None] < M) & (n[None, :] < N))


def gemm_fp16(a, b):
    (M, K), N = a.shape, b.shape[1]
    c = torch.empty((M, N), dtype=a.dtype, device=a.device)
    grid = (triton.cdiv(M, 128), triton.cdiv(N, 128))
    gemm_kernel[grid](c, a, b, M, N, K, *a.stride(), *b.stride(), BLOCK=128, STEP=128, num_warps=8)
    return c
