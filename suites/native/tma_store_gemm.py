"""Matrix product C = A @ B of 16-bit matrices with a float32 result, whose rows are whole multiples of 16 bytes.

Sums are float32, rounded or cut off at every 4th product; nothing is rounded at the end, so that storing costs twice
what a 16-bit result would: with few sums the product is bound by its stores. N is a multiple of 8, as hardware asks
that copies tiles by descriptors. What is hard: tiles of float32 that leave registers for memory in wide, coalesced
stores while the next tile is computed.
"""
import torch

from suites import Case, Input, edge

entry = "tma_store_gemm"
category = "matrix product"
level = 3


def result(x):
    # float32 from 16 bits
    return torch.promote_types(x.dtype, torch.float32)


def reference(a, b):
    return a.to(result(a)) @ b.to(result(b))


def transposed(a, b):
    return (b.float().T.contiguous() @ a.float().T.contiguous()).T.contiguous()


def by_blocks(a, b):
    total = torch.zeros((a.shape[0], b.shape[1]), device=a.device)
    for start in range(0, a.shape[1], 64):
        total += a[:, start : start + 64].float() @ b[start : start + 64].float()
    return total


def summed_and_cut(a, b, starts):
    # as matrix units add: 4 products at a time, and what float32 does not hold is cut off, not rounded. Newer ones take
    # 16, but cut each product too, two bits below the largest's last: that errs as much
    total = torch.zeros((a.shape[0], b.shape[1]), device=a.device)
    for start in starts:
        k = slice(start, start + 4)
        for mine, rows in zip(total.split(4096), a[:, k].split(4096), strict=True):
            whole = mine.double() + (rows.float() @ b[k].float())
            mine.copy_(whole)
            mine.copy_(torch.where(mine.abs() > whole.abs(), torch.nextafter(mine, torch.zeros_like(mine)), mine))
    return total


def cut_off(a, b):
    return summed_and_cut(a, b, range(0, a.shape[1], 4))


def cut_off_from_the_end(a, b):
    return summed_and_cut(a, b, reversed(range(0, a.shape[1], 4)))


honest = [transposed, by_blocks, cut_off, cut_off_from_the_end]
exact = True  # from -1, 0 and 1: any order of additions in float32 is


def operands(m, n, k, dtype, a):
    every = ("normal", "uniform", "heavy", "spike", "signs", "offset")
    return {
        "a": Input((m, k), dtype, a, trials=every),
        "b": Input((k, n), dtype, "normal", trials=("normal", "uniform", "signs")),
    }


def case(name, m, n, k, dtype="float16", a="normal", small=(48, 64, 128)):
    full = operands(m, n, k, dtype, a)
    return Case(
        name,
        full,
        flops=2 * m * n * k,
        bytes=sum(i.bytes for i in full.values() if isinstance(i, Input)) + Input((m, n), "float32").bytes,
        small=operands(*small, dtype, a),
    )


cases = [
    case("8192x8192x512-fp16", 8192, 8192, 512, small=(64, 96, 64)),
    case("4096x4096x4096-bf16-uniform", 4096, 4096, 4096, "bfloat16", "uniform"),
    case("3001x5000x1000-fp16-signs", 3001, 5000, 1000, a="signs", small=(37, 88, 72)),
    case("16384x4096x128-bf16-spike", 16384, 4096, 128, "bfloat16", "spike", small=(96, 64, 32)),
]
held_out = [
    case("4097x4104x1025-fp16-heavy", 4097, 4104, 1025, a="heavy", small=(65, 72, 97)),
    case("2039x3048x1021-bf16", 2039, 3048, 1021, "bfloat16", small=(71, 56, 37)),
    case("63x16384x2048-fp16-offset", 63, 16384, 2048, a="offset", small=(63, 96, 128)),
]


def corner(name, m, n, k, dtype="float16", a="normal"):
    return edge(name, operands(m, n, k, dtype, a), bytes=max(1, 4 * m * n))


edges = [
    corner("31x40x31-fp16-uniform", 31, 40, 31, a="uniform"),
    corner("33x8x33-bf16-heavy", 33, 8, 33, "bfloat16", "heavy"),
    corner("1x8x1-fp16", 1, 8, 1),
    corner("5x16x0-fp16", 5, 16, 0),  # the sum of nothing is 0
    corner("0x16x16-fp16", 0, 16, 16),
    corner("65537x32776x16-fp16", 65537, 32776, 16),  # more than 2^31 elements, for a GPU
]

# evo-kernel: seed plain
import torch
import triton
import triton.language as tl


@triton.jit
def tma_store_kernel(
    c_ptr, a_ptr, b_ptr, M, N, K, BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr, BLOCK_K: tl.constexpr
):
    # one program per tile of C, row by row; the tile is stored through a descriptor, which cuts it at C's edges
    tiles = tl.cdiv(N, BLOCK_N)
    m = (tl.program_id(0) // tiles) * BLOCK_M
    n = (tl.program_id(0) % tiles) * BLOCK_N
    c = tl.make_tensor_descriptor(c_ptr, shape=[M, N], strides=[N, 1], block_shape=[BLOCK_M, BLOCK_N])
    offs_m, offs_n = m + tl.arange(0, BLOCK_M), n + tl.arange(0, BLOCK_N)
    a_rows = a_ptr + offs_m.to(tl.int64)[:, None] * K
    acc = tl.zeros((BLOCK_M, BLOCK_N), tl.float32)
    for start in range(0, K, BLOCK_K):
        offs_k = start + tl.arange(0, BLOCK_K)
        a = tl.load(a_rows + offs_k[None, :], mask=(offs_m[:, None] < M) & (offs_k[None, :] < K), other=0.0)
        b_ptrs = b_ptr + offs_k.to(tl.int64)[:, None] * N + offs_n[None, :]
        b = tl.load(b_ptrs, mask=(offs_k[:, None] < K) & (offs_n[None, :] < N), other=0.0)
        acc = tl.dot(a, b, acc)
    c.store([m, n], acc)


def tma_store_gemm(a, b):
    M, K = a.shape
    N = b.shape[1]
    c = torch.empty((M, N), dtype=torch.float32, device=a.device)
    # where descriptors lie that a kernel makes itself
    triton.set_allocator(lambda size, alignment, stream: torch.empty(size, dtype=torch.int8, device=a.device))
    grid = lambda meta: (triton.cdiv(M, meta["BLOCK_M"]) * triton.cdiv(N, meta["BLOCK_N"]),)
    tma_store_kernel[grid](c, a, b, M, N, K, BLOCK_M=32, BLOCK_N=32, BLOCK_K=64, num_warps=4, num_stages=1)
    return c
# evo-kernel: end
