"""Walks over tiles in groups that share operands, with a fixed number of programs.

task: gemm_fp16
"""

import torch
import triton
import triton.language as tl


@triton.jit
def gemm_kernel(c_ptr, a_ptr, b_ptr, M, N, K, am, ak, bk, bn, GROUP: tl.constexpr, BLOCK: tl.constexpr):
    rows, cols = tl.cdiv(M, BLOCK), tl.cdiv(N, BLOCK)
    for tile in range(tl.program_id(0), rows * cols, tl.num_programs(0)):
        group = tile // (GROUP * cols)
        height = tl.minimum(rows - group * GROUP, GROUP)
        m = (group * GROUP + tile % (GROUP * cols) % height).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
        n = (tile % (GROUP * cols) // height).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
        acc = tl.zeros((BLOCK, BLOCK), tl.float32)
        for start in range(0, K, BLOCK):
            k = start + tl.arange(0, BLOCK)
            a = tl.load(a_ptr + m[:, None] * am + k[None, :] * ak, mask=(m[:, None] < M) & (k[None, :] < K), other=0.0)
            b = tl.load(b_ptr + k[:, None] * bk + n[None, :] * bn, mask=(k[:, None] < K) & (n[None, :] < N), other=0.0)
            acc = tl.dot(a, b, acc)
        at = c_ptr + m[:, None] * N + n[None, :]
        tl.store(at, acc.to(c_ptr.dtype.element_ty), mask=(m[:, None] < M) & (n[None, :] < N))


def gemm_fp16(a, b):
    (M, K), N = a.shape, b.shape[1]
    c = torch.empty((M, N), dtype=a.dtype, device=a.device)
    units = torch.cuda.get_device_properties(a.device).multi_processor_count
    grid = (min(4 * units, triton.cdiv(M, 64) * triton.cdiv(N, 64)),)
    gemm_kernel[grid](c, a, b, M, N, K, *a.stride(), *b.stride(), GROUP=4, BLOCK=64)
    return c
