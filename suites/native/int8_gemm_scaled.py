"""Matrix product of int8 with scales, C[m, n] = scale_a[m] * scale_b[n] * sum over k of A[m, k] * B[n, k].

Both operands are int8, summed exactly in int32; each row of A has a scale and so has each row of B (a column of the
product), in bfloat16 or float32. Sums are scaled in float32, and C, rounded once, has the scales' dtype. Compute bound,
at twice the rate of 16 bits where matrix units have int8. What is hard: operands of one byte that lie as those units
want them, wide loads, and scales that are applied once to the sums and not to the operands.
"""
import torch

from suites import Case, Input, edge

entry = "int8_gemm_scaled"
category = "quantization"
level = 3


def reference(a, b, scale_a, scale_b):
    # in float64, where sums of products of 8 bits are exact and a GPU can multiply matrices
    dtype = torch.promote_types(scale_a.dtype, torch.float32)
    whole = (a.double() @ b.double().T).to(dtype)
    return (whole * scale_a.to(dtype)[:, None] * scale_b.to(dtype)[None, :]).to(scale_a.dtype)


def by_blocks(a, b, scale_a, scale_b):
    total = torch.zeros((a.shape[0], b.shape[0]), dtype=torch.int64, device=a.device)
    for start in range(0, a.shape[1], 512):  # so many products are exact in float32
        total += (a[:, start : start + 512].float() @ b[:, start : start + 512].float().T).long()
    return (total.float() * (scale_a.float()[:, None] * scale_b.float()[None, :])).to(scale_a.dtype)


def dequantized(a, b, scale_a, scale_b):
    return ((a.float() * scale_a.float()[:, None]) @ (b.float() * scale_b.float()[:, None]).T).to(scale_a.dtype)

honest = [by_blocks, dequantized]
exact = True  # from -1, 0 and 1: any order of additions in float32 is


def operands(m, n, k, dtype, a):
    scales = ("normal", "uniform", "heavy", "offset", "signs", "spike")
    return {
        "a": Input((m, k), "int8", a),
        "b": Input((n, k), "int8", "integers"),
        "scale_a": Input((m,), dtype, "uniform", trials=scales),
        "scale_b": Input((n,), dtype, "normal", trials=("normal", "uniform", "signs")),
    }


def case(name, m, n, k, dtype="bfloat16", a="integers", small=(48, 64, 128)):
    full = operands(m, n, k, dtype, a)
    return Case(
        name,
        full,
        flops=2 * m * n * k,
        bytes=sum(i.bytes for i in full.values() if isinstance(i, Input)) + Input((m, n), dtype).bytes,
        small=operands(*small, dtype, a),
    )


cases = [
    case("4096x4096x4096-bf16", 4096, 4096, 4096),
    case("2048x8192x8192-fp32", 2048, 8192, 8192, "float32", small=(32, 96, 160)),
    case("3001x5003x2000-bf16-signs", 3001, 5003, 2000, a="signs", small=(37, 83, 80)),
    case("16x16384x4096-bf16", 16, 16384, 4096, small=(16, 96, 256)),
]
held_out = [
    case("4097x4095x2049-bf16", 4097, 4095, 2049, small=(65, 63, 97)),
    case("2039x3049x1021-fp32", 2039, 3049, 1021, "float32", small=(71, 53, 37)),  # primes
    case("1x8192x16384-bf16-signs", 1, 8192, 16384, a="signs", small=(1, 128, 192)),
]


def corner(name, m, n, k, dtype="bfloat16", a="integers"):
    return edge(name, operands(m, n, k, dtype, a))


edges = [
    corner("31x33x31-fp32", 31, 33, 31, "float32"),
    corner("33x31x65-bf16-signs", 33, 31, 65, a="signs"),
    corner("1x1x1-bf16", 1, 1, 1),
    corner("5x7x0-bf16", 5, 7, 0),  # the sum of nothing is 0
    corner("0x16x16-bf16", 0, 16, 16),
    corner("65537x64x32771-bf16", 65537, 64, 32771),  # more than 2^31 elements, for a GPU
]

# evo-kernel: seed plain
import torch
import triton
import triton.language as tl


@triton.jit
def int8_gemm_scaled_kernel(
    c_ptr, a_ptr, b_ptr, scale_a_ptr, scale_b_ptr, M, N, K,
    BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr, BLOCK_K: tl.constexpr,
):
    # one program per tile of C, row by row; rows start beyond 2^31 elements in larger matrices
    tiles = tl.cdiv(N, BLOCK_N)
    offs_m = (tl.program_id(0) // tiles) * BLOCK_M + tl.arange(0, BLOCK_M)
    offs_n = (tl.program_id(0) % tiles) * BLOCK_N + tl.arange(0, BLOCK_N)
    a_rows = a_ptr + offs_m.to(tl.int64)[:, None] * K
    b_rows = b_ptr + offs_n.to(tl.int64)[:, None] * K
    acc = tl.zeros((BLOCK_M, BLOCK_N), tl.int32)
    for start in range(0, K, BLOCK_K):
        offs_k = start + tl.arange(0, BLOCK_K)
        a = tl.load(a_rows + offs_k[None, :], mask=(offs_m[:, None] < M) & (offs_k[None, :] < K), other=0)
        b = tl.load(b_rows + offs_k[None, :], mask=(offs_n[:, None] < N) & (offs_k[None, :] < K), other=0)
        acc = tl.dot(a, b.T, acc, out_dtype=tl.int32)
    scale_a = tl.load(scale_a_ptr + offs_m, mask=offs_m < M, other=0.0)
    scale_b = tl.load(scale_b_ptr + offs_n, mask=offs_n < N, other=0.0)
    c = acc.to(tl.float32) * scale_a[:, None] * scale_b[None, :]
    c_ptrs = c_ptr + offs_m.to(tl.int64)[:, None] * N + offs_n[None, :]
    tl.store(c_ptrs, c.to(c_ptr.dtype.element_ty), mask=(offs_m[:, None] < M) & (offs_n[None, :] < N))


def int8_gemm_scaled(a, b, scale_a, scale_b):
    M, K = a.shape
    N = b.shape[0]
    c = torch.empty((M, N), dtype=scale_a.dtype, device=a.device)
    grid = lambda meta: (triton.cdiv(M, meta["BLOCK_M"]) * triton.cdiv(N, meta["BLOCK_N"]),)
    int8_gemm_scaled_kernel[grid](
        c, a, b, scale_a, scale_b, M, N, K, BLOCK_M=32, BLOCK_N=32, BLOCK_K=64, num_warps=4, num_stages=1
    )
    return c
# evo-kernel: end
