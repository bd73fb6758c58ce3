"""Multiplies matrices in float32, and nothing less."""

import torch

from suites import Case, Input

entry = "matmul_fp32"


def reference(a, b):
    return a @ b


def by_blocks(a, b):
    # one sum after another along K, as a kernel's main loop has it
    total = torch.zeros((a.shape[0], b.shape[1]), device=a.device)
    for start in range(0, a.shape[1], 16):
        total += a[:, start : start + 16] @ b[start : start + 16]
    return total


def in_order(a, b):
    # one product after another: what float32 comes to without matrix units, and no kernel can choose another order
    total = torch.zeros((a.shape[0], b.shape[1]), device=a.device)
    for k in range(a.shape[1]):
        total += a[:, k, None] * b[k]
    return total


honest = [by_blocks, in_order]


def case(name, m, n, k, distribution="normal", small=(32, 48, 80)):
    def arguments(m, n, k):
        return {"a": Input((m, k), "float32", distribution), "b": Input((k, n), "float32")}

    full = arguments(m, n, k)
    traffic = full["a"].bytes + full["b"].bytes + 4 * m * n
    return Case(name, full, flops=2 * m * n * k, bytes=traffic, small=arguments(*small))


cases = [case("512x768x1024", 512, 768, 1024)]
held_out = [case("513x769x1025-heavy", 513, 769, 1025, "heavy", small=(33, 47, 81))]

# evo-kernel: seed plain
import torch
import triton
import triton.language as tl


@triton.jit
def matmul_kernel(c_ptr, a_ptr, b_ptr, M, N, K, a_stride, b_stride, BLOCK: tl.constexpr):
    m = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    n = tl.program_id(1).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    acc = tl.zeros((BLOCK, BLOCK), tl.float32)
    for start in range(0, K, BLOCK):
        k = start + tl.arange(0, BLOCK)
        a = tl.load(a_ptr + m[:, None] * a_stride + k[None, :], mask=(m[:, None] < M) & (k[None, :] < K), other=0.0)
        b = tl.load(b_ptr + k[:, None] * b_stride + n[None, :], mask=(k[:, None] < K) & (n[None, :] < N), other=0.0)
        acc = tl.dot(a, b, acc, input_precision="ieee")
    tl.store(c_ptr + m[:, None] * N + n[None, :], acc, mask=(m[:, None] < M) & (n[None, :] < N))


def matmul_fp32(a, b):
    M, K = a.shape
    N = b.shape[1]
    c = torch.empty((M, N), dtype=a.dtype, device=a.device)
    grid = (triton.cdiv(M, 32), triton.cdiv(N, 32))
    matmul_kernel[grid](c, a, b, M, N, K, a.stride(0), b.stride(0), BLOCK=32)
    return c
# evo-kernel: end
