"""Matrix product C = A @ B of float16 matrices, summed in float32 and rounded once to float16.

Compute bound at these sizes, except the products with one row: the matrix units set the limit, and the work is to
keep them fed. What is hard: tile shapes and pipelining, an order of tiles that reuses the cache, operands that are
stored transposed, and sizes that no tile divides (odd strides also break wide loads).
"""
import torch

from suites import Case, Input, edge

entry = "gemm_fp16"
category = "matrix product"
level = 3


def reference(a, b):
    return a @ b


def in_float32(a, b):
    return (a.float() @ b.float()).to(a.dtype)


def by_blocks(a, b):
    # blocks of K one after another in float32, as a kernel's main loop does
    total = torch.zeros((a.shape[0], b.shape[1]), device=a.device)
    for start in range(0, a.shape[1], 64):
        total += a[:, start : start + 64].float() @ b[start : start + 64].float()
    return total.to(a.dtype)


honest = [in_float32, by_blocks]
exact = True  # from -1, 0 and 1: any order of additions in float32 is


def operands(m, n, k, a, b, a_order=None, b_order=None, pad=0):
    # in trials only A takes large values, and no large mean where B has a mean too: float16 would end
    wide = ("normal", "uniform", "heavy", "spike", "signs", *(["offset"] if b != "uniform" else []))
    narrow = ("normal", "signs")
    return {
        "a": Input((m, k), "float16", a, order=a_order, trials=wide, pad=pad),
        "b": Input((k, n), "float16", b, order=b_order, trials=narrow, pad=pad),
    }


def case(name, m, n, k, a="normal", b="normal", b_order=None, small=(64, 96, 96)):
    # pairs of distributions are chosen so that no result leaves float16's range: no offset @ offset, say
    def arguments(m, n, k):
        return operands(m, n, k, a, b, None, b_order)

    full = arguments(m, n, k)
    traffic = full["a"].bytes + full["b"].bytes + Input((m, n), "float16").bytes
    return Case(name, full, flops=2 * m * n * k, bytes=traffic, small=arguments(*small))


cases = [
    case("4096x4096x4096", 4096, 4096, 4096, small=(48, 48, 512)),
    # B stored column by column, as the weight of a linear layer is
    case("2048x8192x4096-uniform-bt", 2048, 8192, 4096, "uniform", "uniform", b_order=(1, 0), small=(32, 96, 128)),
    case("3000x5000x2000-signs", 3000, 5000, 2000, "signs", "signs", small=(70, 90, 80)),  # exact: sums of -1, 0, 1
    case("8192x1024x8192-spike", 8192, 1024, 8192, "spike", small=(96, 32, 192)),
]
held_out = [
    case("4097x4095x2049-heavy", 4097, 4095, 2049, "heavy", "uniform", small=(65, 63, 97)),
    case("2039x3049x1021", 2039, 3049, 1021, small=(71, 53, 37)),  # primes
    case("1x8192x4096-offset-bt", 1, 8192, 4096, "offset", b_order=(1, 0), small=(1, 192, 192)),
]


def corner(name, m, n, k, a="normal", b="normal", a_order=None, b_order=None, pad=0):
    return edge(name, operands(m, n, k, a, b, a_order, b_order, pad))


edges = [
    corner("31x33x31-uniform", 31, 33, 31, "uniform"),
    corner("33x31x33-at-bt-heavy", 33, 31, 33, "heavy", a_order=(1, 0), b_order=(1, 0)),
    corner("29x37x23-padded-offset", 29, 37, 23, "offset", pad=3),  # primes
    corner("1x1x1", 1, 1, 1),
    corner("5x7x0", 5, 7, 0),  # the sum of nothing is 0
    corner("0x16x16", 0, 16, 16),
    corner("65537x64x32771", 65537, 64, 32771),  # more than 2^31 elements, for a GPU
]

# evo-kernel: seed plain
import torch
import triton
import triton.language as tl


@triton.jit
def gemm_kernel(
    c_ptr, a_ptr, b_ptr, M, N, K,
    stride_cm, stride_cn, stride_am, stride_ak, stride_bk, stride_bn,
    BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr, BLOCK_K: tl.constexpr,
):
    # one program per tile of C, row by row; a one-dimensional grid, because the other dimensions end at 65535
    pid = tl.program_id(0)
    tiles_n = tl.cdiv(N, BLOCK_N)
    offs_m = (pid // tiles_n) * BLOCK_M + tl.arange(0, BLOCK_M)
    offs_n = (pid % tiles_n) * BLOCK_N + tl.arange(0, BLOCK_N)
    offs_k = tl.arange(0, BLOCK_K)
    # row and column offsets in 64 bits: one row of tiles may start beyond 2^31 elements in larger matrices
    a_ptrs = a_ptr + offs_m.to(tl.int64)[:, None] * stride_am + offs_k[None, :] * stride_ak
    b_ptrs = b_ptr + offs_k[:, None] * stride_bk + offs_n.to(tl.int64)[None, :] * stride_bn
    acc = tl.zeros((BLOCK_M, BLOCK_N), tl.float32)
    for start in range(0, K, BLOCK_K):
        left = K - start
        a = tl.load(a_ptrs, mask=(offs_m[:, None] < M) & (offs_k[None, :] < left), other=0.0)
        b = tl.load(b_ptrs, mask=(offs_k[:, None] < left) & (offs_n[None, :] < N), other=0.0)
        acc = tl.dot(a, b, acc)
        # pointers advance, so the offset along K needs no 64-bit product
        a_ptrs += BLOCK_K * stride_ak
        b_ptrs += BLOCK_K * stride_bk
    c_ptrs = c_ptr + offs_m.to(tl.int64)[:, None] * stride_cm + offs_n[None, :] * stride_cn
    tl.store(c_ptrs, acc.to(c_ptr.dtype.element_ty), mask=(offs_m[:, None] < M) & (offs_n[None, :] < N))


def gemm_fp16(a, b):
    M, K = a.shape
    N = b.shape[1]
    c = torch.empty((M, N), dtype=a.dtype, device=a.device)
    grid = lambda meta: (triton.cdiv(M, meta["BLOCK_M"]) * triton.cdiv(N, meta["BLOCK_N"]),)
    gemm_kernel[grid](
        c, a, b, M, N, K,
        c.stride(0), c.stride(1), a.stride(0), a.stride(1), b.stride(0), b.stride(1),
        BLOCK_M=32, BLOCK_N=32, BLOCK_K=32, num_warps=4, num_stages=1,
    )
    return c
# evo-kernel: end
