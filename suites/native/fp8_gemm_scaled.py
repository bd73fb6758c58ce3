"""Matrix product of float8 with scales, C[m, n] = scale_a[m] * scale_b[n] * sum over k of A[m, k] * B[n, k].

Both operands are float8, e4m3 or e5m2, summed in float32; each row of A has a scale in float32 and so has each row of B
(a column of the product), and C is bfloat16, rounded once: nothing is rounded to 16 bits before. Compute bound, at twice
the rate of 16 bits where matrix units have float8; other chips must cast. What is hard: operands of one byte that lie as
those units want them, sums that some of those units keep in fewer bits than float32 has, and scales that are applied
once.
"""
import torch

from suites import Case, Input, edge

entry = "fp8_gemm_scaled"
category = "quantization"
level = 3


def result(x):
    # bfloat16 from 8 bits; what runs in float64 stays there
    return torch.float64 if x.dtype == torch.float64 else torch.bfloat16


def reference(a, b, scale_a, scale_b):
    dtype = torch.promote_types(scale_a.dtype, torch.float32)
    return (a.to(dtype) @ b.to(dtype).T * scale_a[:, None] * scale_b[None, :]).to(result(scale_a))


def by_blocks(a, b, scale_a, scale_b):
    total = torch.zeros((a.shape[0], b.shape[0]), device=a.device)
    for start in range(0, a.shape[1], 64):
        total += a[:, start : start + 64].float() @ b[:, start : start + 64].float().T
    return (total * (scale_a[:, None] * scale_b[None, :])).bfloat16()


def dequantized(a, b, scale_a, scale_b):
    return ((a.float() * scale_a[:, None]) @ (b.float() * scale_b[:, None]).T).bfloat16()


def scaled_by_blocks(a, b, scale_a, scale_b):
    # rounded to float32 at every step, after each scale and after each addition
    total = torch.zeros((a.shape[0], b.shape[0]), device=a.device)
    for start in range(0, a.shape[1], 64):
        part = a[:, start : start + 64].float() @ b[:, start : start + 64].float().T
        total += part * scale_a[:, None] * scale_b[None, :]
    return total.bfloat16()

honest = [by_blocks, dequantized, scaled_by_blocks]
exact = True  # from -1, 0 and 1: any order of additions in float32 is
# From whole operands every sum is, and what float32 rounds after it moves one result of ten thousand to bfloat16's next
# number; a sum, or a product with one scale, that was rounded to bfloat16 before moves a fifth of them and more.
misrounded = 0.01


def operands(m, n, k, dtype, a):
    scales = ("normal", "uniform", "heavy", "offset", "signs", "spike")
    return {
        "a": Input((m, k), dtype, a, trials=("normal", "uniform", "offset", "signs", "whole")),
        "b": Input((n, k), dtype, "normal", trials=("normal", "signs", "whole")),
        "scale_a": Input((m,), "float32", "uniform", trials=scales),
        "scale_b": Input((n,), "float32", "normal", trials=("normal", "uniform", "signs")),
    }


def case(name, m, n, k, dtype="float8_e4m3fn", a="normal", small=(48, 64, 128)):
    full = operands(m, n, k, dtype, a)
    return Case(
        name,
        full,
        flops=2 * m * n * k,
        bytes=sum(i.bytes for i in full.values() if isinstance(i, Input)) + Input((m, n), "bfloat16").bytes,
        small=operands(*small, dtype, a),
    )


cases = [
    case("4096x4096x4096-e4m3", 4096, 4096, 4096),
    # the long sums of small cases show sums that are kept in fewer bits
    case("2048x8192x8192-e4m3-uniform", 2048, 8192, 8192, a="uniform", small=(16, 24, 2560)),
    case("3001x5003x2000-e5m2-signs", 3001, 5003, 2000, "float8_e5m2", "signs", small=(37, 83, 80)),
    case("16x16384x4096-e4m3-offset", 16, 16384, 4096, a="offset", small=(16, 96, 256)),
]
held_out = [
    case("4097x4095x2049-e4m3", 4097, 4095, 2049, small=(65, 63, 97)),
    case("2039x3049x1021-e5m2-uniform", 2039, 3049, 1021, "float8_e5m2", "uniform", small=(71, 53, 37)),  # primes
    case("1x8192x16384-e4m3-offset", 1, 8192, 16384, a="offset", small=(1, 128, 192)),
]


def corner(name, m, n, k, dtype="float8_e4m3fn", a="normal"):
    return edge(name, operands(m, n, k, dtype, a))


edges = [
    corner("31x33x31-e4m3-uniform", 31, 33, 31, a="uniform"),
    corner("33x31x65-e5m2", 33, 31, 65, "float8_e5m2"),
    corner("1x1x1-e4m3", 1, 1, 1),
    corner("5x7x0-e4m3", 5, 7, 0),  # the sum of nothing is 0
    corner("0x16x16-e4m3", 0, 16, 16),
    corner("65537x64x32771-e4m3", 65537, 64, 32771),  # more than 2^31 elements, for a GPU
]

# evo-kernel: seed plain
import torch
import triton
import triton.language as tl


@triton.jit
def fp8_gemm_scaled_kernel(
    c_ptr, a_ptr, b_ptr, scale_a_ptr, scale_b_ptr, M, N, K,
    BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr, BLOCK_K: tl.constexpr,
):
    # one program per tile of C, row by row; rows start beyond 2^31 elements in larger matrices
    tiles = tl.cdiv(N, BLOCK_N)
    offs_m = (tl.program_id(0) // tiles) * BLOCK_M + tl.arange(0, BLOCK_M)
    offs_n = (tl.program_id(0) % tiles) * BLOCK_N + tl.arange(0, BLOCK_N)
    a_rows = a_ptr + offs_m.to(tl.int64)[:, None] * K
    b_rows = b_ptr + offs_n.to(tl.int64)[:, None] * K
    acc = tl.zeros((BLOCK_M, BLOCK_N), tl.float32)
    for start in range(0, K, BLOCK_K):
        offs_k = start + tl.arange(0, BLOCK_K)
        a = tl.load(a_rows + offs_k[None, :], mask=(offs_m[:, None] < M) & (offs_k[None, :] < K), other=0.0)
        b = tl.load(b_rows + offs_k[None, :], mask=(offs_n[:, None] < N) & (offs_k[None, :] < K), other=0.0)
        acc = tl.dot(a, b.T, acc)
    scale_a = tl.load(scale_a_ptr + offs_m, mask=offs_m < M, other=0.0)
    scale_b = tl.load(scale_b_ptr + offs_n, mask=offs_n < N, other=0.0)
    c = acc.to(tl.float32) * scale_a[:, None] * scale_b[None, :]
    c_ptrs = c_ptr + offs_m.to(tl.int64)[:, None] * N + offs_n[None, :]
    tl.store(c_ptrs, c.to(tl.bfloat16), mask=(offs_m[:, None] < M) & (offs_n[None, :] < N))


def fp8_gemm_scaled(a, b, scale_a, scale_b):
    M, K = a.shape
    N = b.shape[0]
    c = torch.empty((M, N), dtype=torch.bfloat16, device=a.device)
    grid = lambda meta: (triton.cdiv(M, meta["BLOCK_M"]) * triton.cdiv(N, meta["BLOCK_N"]),)
    fp8_gemm_scaled_kernel[grid](
        c, a, b, scale_a, scale_b, M, N, K, BLOCK_M=32, BLOCK_N=32, BLOCK_K=64, num_warps=4, num_stages=1
    )
    return c
# evo-kernel: end
