"""Two products in a chain, E = (A @ B^T) @ C, without the large matrix between them in memory.

A is m x k, B and C are n x k, with k a power of two from 16 to 128. What lies between the products is summed in float32
and may be rounded to the operands' dtype, once, before the second. Least work: the chain may also be computed as
A @ (B^T @ C), which does no more than 2 k^2 (m + n) operations. What is hard: seeing that, or keeping both products'
operands on chip.
"""
import torch

from suites import Case, Input, edge

entry = "chained_matmul"
category = "matrix product"
level = 4


def reference(a, b, c):
    return in_float32(a, b, c) if a.dtype != torch.float64 else (a @ b.T) @ c


def in_float32(a, b, c):
    return ((a.float() @ b.float().T) @ c.float()).to(a.dtype)


def rounded(a, b, c):
    # between the products the numbers are rounded to the operands' dtype, as matrix units want them
    middle = (a.float() @ b.float().T).to(a.dtype)
    return (middle.float() @ c.float()).to(a.dtype)


def rounded_by_blocks(a, b, c):
    # the same, and the second sum in blocks of 64, as kernels make it
    total = torch.zeros(a.shape, device=a.device)
    for start in range(0, b.shape[0], 64):
        part = (b[start : start + 64].float() @ a.float().T).to(a.dtype)
        total += part.float().T @ c[start : start + 64].float()
    return total.to(a.dtype)


def other_way(a, b, c):
    return (a.float() @ (b.float().T @ c.float())).to(a.dtype)

honest = [in_float32, rounded, rounded_by_blocks, other_way]
exact = True  # from -1, 0 and 1: any order of additions in float32 is


def operands(m, n, k, dtype, a):
    # A alone takes large values, or what lies between the products leaves float16
    wide = ("normal", "uniform", "signs", *([] if dtype == "float16" else ["heavy", "spike", "offset"]))
    return {
        "a": Input((m, k), dtype, a, trials=wide),
        "b": Input((n, k), dtype, "normal", trials=("normal", "signs")),
        "c": Input((n, k), dtype, "normal", trials=("normal", "signs")),
    }


def case(name, m, n, k, dtype="float16", a="normal", small=(48, 64, 32)):
    full = operands(m, n, k, dtype, a)
    return Case(
        name,
        full,
        flops=min(2 * k * k * (m + n), 4 * m * n * k),  # in whichever order is less
        bytes=sum(i.bytes for i in full.values() if isinstance(i, Input)) + Input((m, k), dtype).bytes,
        small=operands(*small, dtype, a),
    )


cases = [
    case("8192x8192x64-fp16", 8192, 8192, 64, small=(48, 64, 32)),
    case("4096x16384x128-bf16-uniform", 4096, 16384, 128, "bfloat16", "uniform", small=(32, 96, 64)),
    case("3001x5003x64-fp16-signs", 3001, 5003, 64, a="signs", small=(37, 83, 32)),
    case("16384x2048x128-bf16-spike", 16384, 2048, 128, "bfloat16", "spike", small=(64, 32, 128)),
]
held_out = [
    case("4097x4095x64-bf16-heavy", 4097, 4095, 64, "bfloat16", "heavy", small=(65, 63, 32)),
    case("2039x3049x128-fp16", 2039, 3049, 128, small=(71, 53, 64)),  # primes
    case("17x32768x64-bf16-offset", 17, 32768, 64, "bfloat16", "offset", small=(17, 160, 32)),
]


def corner(name, m, n, k, dtype="float16", a="normal"):
    return edge(name, operands(m, n, k, dtype, a))


edges = [
    corner("31x33x16-fp16-uniform", 31, 33, 16, a="uniform"),
    corner("33x31x32-bf16-heavy", 33, 31, 32, "bfloat16", "heavy"),
    corner("1x1x16-fp16", 1, 1, 16),
    corner("5x0x16-fp16", 5, 0, 16),  # the sum of nothing is 0
    corner("0x16x16-fp16", 0, 16, 16),
    corner("33554503x17x64-fp16", 33_554_503, 17, 64),  # more than 2^31 elements, for a GPU
]

# evo-kernel: seed plain
import torch
import triton
import triton.language as tl


@triton.jit
def chained_matmul_kernel(e_ptr, a_ptr, b_ptr, c_ptr, M, N, K: tl.constexpr, BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr):
    # one program per block of rows of A goes over all of B and C; K is a power of two and at least 16
    offs_m = tl.program_id(0) * BLOCK_M + tl.arange(0, BLOCK_M)
    offs_k = tl.arange(0, K)
    places = offs_m.to(tl.int64)[:, None] * K + offs_k[None, :]  # M * K may pass 2^31
    a = tl.load(a_ptr + places, mask=offs_m[:, None] < M, other=0.0)
    acc = tl.zeros((BLOCK_M, K), tl.float32)
    for start in range(0, N, BLOCK_N):
        offs_n = start + tl.arange(0, BLOCK_N)
        others = offs_n.to(tl.int64)[:, None] * K + offs_k[None, :]
        b = tl.load(b_ptr + others, mask=offs_n[:, None] < N, other=0.0)
        c = tl.load(c_ptr + others, mask=offs_n[:, None] < N, other=0.0)
        middle = tl.dot(a, b.T)
        acc = tl.dot(middle.to(c.dtype), c, acc)
    tl.store(e_ptr + places, acc.to(e_ptr.dtype.element_ty), mask=offs_m[:, None] < M)


def chained_matmul(a, b, c):
    M, K = a.shape
    e = torch.empty((M, K), dtype=a.dtype, device=a.device)
    grid = lambda meta: (triton.cdiv(M, meta["BLOCK_M"]),)
    chained_matmul_kernel[grid](e, a, b, c, M, b.shape[0], K, BLOCK_M=32, BLOCK_N=32, num_warps=4, num_stages=1)
    return e
# evo-kernel: end
