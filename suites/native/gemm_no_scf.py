"""Many small matrix products, out[b] = A[b] @ B[b]: each fits into one tile, so that a program needs no loop.

Memory bound: a product of 64 x 64 x 64 does 21 operations for each byte. Sizes are at most 64. Summed in float32,
rounded once. What is hard: whole tiles in flight with no loop to hide their loads behind, and tiles that are padded to
what matrix units take, where sizes are odd, without reading the neighbours.
"""
import torch

from suites import Case, Input, edge

entry = "gemm_no_scf"
category = "matrix product"
level = 2


def reference(a, b):
    return torch.bmm(a, b)


def in_float32(a, b):
    return torch.bmm(a.float(), b.float()).to(a.dtype)


def by_blocks(a, b):
    total = torch.zeros((a.shape[0], a.shape[1], b.shape[2]), device=a.device)
    for start in range(0, a.shape[2], 16):
        total += a[:, :, start : start + 16].float() @ b[:, start : start + 16].float()
    return total.to(a.dtype)

honest = [in_float32, by_blocks]
exact = True  # from -1, 0 and 1: any order of additions in float32 is


def operands(b, m, n, k, dtype, a):
    # A alone takes large values, or float16 would end
    wide = ("normal", "uniform", "heavy", "spike", "signs", "offset")
    return {
        "a": Input((b, m, k), dtype, a, trials=wide),
        "b": Input((b, k, n), dtype, "normal", trials=("normal", "signs")),
    }


def case(name, b, m, n, k, dtype="float16", a="normal", small=(3, 48, 64, 32)):
    full = operands(b, m, n, k, dtype, a)
    return Case(
        name,
        full,
        flops=2 * b * m * n * k,
        bytes=sum(i.bytes for i in full.values() if isinstance(i, Input)) + Input((b, m, n), dtype).bytes,
        small=operands(*small, dtype, a),
    )


cases = [
    case("16384-of-64x64x64-fp16", 16384, 64, 64, 64, small=(3, 64, 64, 64)),
    case("32768-of-32x64x32-bf16-uniform", 32768, 32, 64, 32, "bfloat16", "uniform", small=(4, 32, 64, 32)),
    case("20011-of-49x49x33-fp16-signs", 20011, 49, 49, 33, a="signs", small=(3, 49, 49, 33)),
    case("65536-of-16x16x64-bf16-spike", 65536, 16, 16, 64, "bfloat16", "spike", small=(7, 16, 16, 64)),
]
held_out = [
    case("10007-of-63x61x59-fp16-heavy", 10007, 63, 61, 59, a="heavy", small=(3, 63, 61, 59)),
    case("100003-of-17x31x16-bf16", 100_003, 17, 31, 16, "bfloat16", small=(5, 17, 31, 16)),
    case("8191-of-64x33x64-fp16-offset", 8191, 64, 33, 64, a="offset", small=(2, 64, 33, 64)),
]


def corner(name, b, m, n, k, dtype="float16", a="normal"):
    return edge(name, operands(b, m, n, k, dtype, a))


edges = [
    corner("2-of-31x33x31-fp16-uniform", 2, 31, 33, 31, a="uniform"),
    corner("3-of-1x64x64-bf16-heavy", 3, 1, 64, 64, "bfloat16", "heavy"),
    corner("1-of-1x1x1-fp16", 1, 1, 1, 1),
    corner("2-of-5x7x0-fp16", 2, 5, 7, 0),  # the sum of nothing is 0
    corner("0-of-16x16x16-fp16", 0, 16, 16, 16),
    corner("524309-of-64x64x64-fp16", 524_309, 64, 64, 64),  # more than 2^31 elements, for a GPU
]

# evo-kernel: seed plain
import torch
import triton
import triton.language as tl


@triton.jit
def gemm_no_scf_kernel(
    c_ptr, a_ptr, b_ptr, M, N, K, BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr, BLOCK_K: tl.constexpr
):
    # one program per product; matrices start beyond 2^31 elements in larger batches
    batch = tl.program_id(0).to(tl.int64)
    offs_m, offs_n, offs_k = tl.arange(0, BLOCK_M), tl.arange(0, BLOCK_N), tl.arange(0, BLOCK_K)
    a_ptrs = a_ptr + batch * M * K + offs_m[:, None] * K + offs_k[None, :]
    b_ptrs = b_ptr + batch * K * N + offs_k[:, None] * N + offs_n[None, :]
    a = tl.load(a_ptrs, mask=(offs_m[:, None] < M) & (offs_k[None, :] < K), other=0.0)
    b = tl.load(b_ptrs, mask=(offs_k[:, None] < K) & (offs_n[None, :] < N), other=0.0)
    c = tl.dot(a, b).to(c_ptr.dtype.element_ty)
    c_ptrs = c_ptr + batch * M * N + offs_m[:, None] * N + offs_n[None, :]
    tl.store(c_ptrs, c, mask=(offs_m[:, None] < M) & (offs_n[None, :] < N))


def gemm_no_scf(a, b):
    B, M, K = a.shape
    N = b.shape[2]
    c = torch.empty((B, M, N), dtype=a.dtype, device=a.device)
    gemm_no_scf_kernel[(B,)](c, a, b, M, N, K, BLOCK_M=64, BLOCK_N=64, BLOCK_K=64, num_warps=4)
    return c
# evo-kernel: end
