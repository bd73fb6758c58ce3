"""Matrix product of two dtypes, C = A.half() @ B: A is stored in 8 bits and cast on the way into the product.

A is int8 or float8 (e5m2), whose every value float16 has, so the cast rounds nothing; B and C are float16, summed in
float32 and rounded once. B is small, so that products with large integers stay in float16's range. Compute bound. What
is hard: a cast between load and dot whose registers do not fit what matrix units want, and loads of half the width.
"""
import torch

from suites import Case, Input, edge

entry = "cast_matmul"
category = "matrix product"
level = 3


def reference(a, b):
    return a.to(b.dtype) @ b


def in_float32(a, b):
    return (a.float() @ b.float()).to(b.dtype)


def by_blocks(a, b):
    total = torch.zeros((a.shape[0], b.shape[1]), device=a.device)
    for start in range(0, a.shape[1], 64):
        total += a[:, start : start + 64].float() @ b[start : start + 64].float()
    return total.to(b.dtype)

honest = [in_float32, by_blocks]
exact = True  # from -1, 0 and 1: any order of additions in float32 is


def operands(m, n, k, dtype, a):
    trials = None if dtype == "int8" else ("normal", "uniform", "offset", "signs")
    return {
        "a": Input((m, k), dtype, a, trials=trials),
        "b": Input((k, n), "float16", "normal", trials=("normal", "signs")),
    }


def case(name, m, n, k, dtype="int8", a="integers", small=(48, 64, 128)):
    full = operands(m, n, k, dtype, a)
    return Case(
        name,
        full,
        flops=2 * m * n * k,
        bytes=sum(i.bytes for i in full.values() if isinstance(i, Input)) + Input((m, n), "float16").bytes,
        small=operands(*small, dtype, a),
    )


cases = [
    case("4096x4096x4096-int8", 4096, 4096, 4096),
    case("2048x8192x4096-fp8-uniform", 2048, 8192, 4096, "float8_e5m2", "uniform", small=(32, 96, 160)),
    case("3001x5003x2000-int8-signs", 3001, 5003, 2000, a="signs", small=(37, 83, 80)),
    case("8192x1024x8192-fp8-offset", 8192, 1024, 8192, "float8_e5m2", "offset", small=(96, 32, 256)),
]
held_out = [
    case("4097x4095x2049-int8", 4097, 4095, 2049, small=(65, 63, 97)),
    case("2039x3049x1021-fp8", 2039, 3049, 1021, "float8_e5m2", "normal", small=(71, 53, 37)),  # primes
    case("17x8192x8192-int8", 17, 8192, 8192, small=(17, 128, 192)),
]


def corner(name, m, n, k, dtype="int8", a="integers"):
    return edge(name, operands(m, n, k, dtype, a))


edges = [
    corner("31x33x31-fp8-signs", 31, 33, 31, "float8_e5m2", "signs"),
    corner("33x31x65-int8", 33, 31, 65),
    corner("1x1x1-int8", 1, 1, 1),
    corner("5x7x0-int8", 5, 7, 0),  # the sum of nothing is 0
    corner("0x16x16-fp8", 0, 16, 16, "float8_e5m2", "normal"),
    corner("65537x64x32771-int8", 65537, 64, 32771),  # more than 2^31 elements, for a GPU
]

# evo-kernel: seed plain
import torch
import triton
import triton.language as tl


@triton.jit
def cast_matmul_kernel(
    c_ptr, a_ptr, b_ptr, M, N, K, BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr, BLOCK_K: tl.constexpr
):
    # one program per tile of C, row by row; rows start beyond 2^31 elements in larger matrices
    tiles = tl.cdiv(N, BLOCK_N)
    offs_m = (tl.program_id(0) // tiles) * BLOCK_M + tl.arange(0, BLOCK_M)
    offs_n = (tl.program_id(0) % tiles) * BLOCK_N + tl.arange(0, BLOCK_N)
    a_rows = a_ptr + offs_m.to(tl.int64)[:, None] * K
    acc = tl.zeros((BLOCK_M, BLOCK_N), tl.float32)
    for start in range(0, K, BLOCK_K):
        offs_k = start + tl.arange(0, BLOCK_K)
        # what lies beyond K is multiplied by zeros of B, but must be finite: it is taken as 0 too
        a = tl.load(a_rows + offs_k[None, :], mask=(offs_m[:, None] < M) & (offs_k[None, :] < K), other=0.0)
        b_ptrs = b_ptr + offs_k.to(tl.int64)[:, None] * N + offs_n[None, :]
        b = tl.load(b_ptrs, mask=(offs_k[:, None] < K) & (offs_n[None, :] < N), other=0.0)
        acc = tl.dot(a.to(tl.float16), b, acc)
    c_ptrs = c_ptr + offs_m.to(tl.int64)[:, None] * N + offs_n[None, :]
    tl.store(c_ptrs, acc.to(tl.float16), mask=(offs_m[:, None] < M) & (offs_n[None, :] < N))


def cast_matmul(a, b):
    M, K = a.shape
    N = b.shape[1]
    c = torch.empty((M, N), dtype=b.dtype, device=a.device)
    grid = lambda meta: (triton.cdiv(M, meta["BLOCK_M"]) * triton.cdiv(N, meta["BLOCK_N"]),)
    cast_matmul_kernel[grid](c, a, b, M, N, K, BLOCK_M=32, BLOCK_N=32, BLOCK_K=64, num_warps=4, num_stages=1)
    return c
# evo-kernel: end
