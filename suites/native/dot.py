"""Matrix product with an addend, D = X @ Y + Z: the dot of matrix units with its accumulator given from outside.

In float32 the operands of the product may be rounded to tf32; 16-bit operands are multiplied as they are and summed in
float32. Z is added in full precision before the one rounding of the result. Compute bound. What is hard: an accumulator
that is loaded without delaying the first dot, and float32 at the speed of tf32.
"""
import torch

from suites import Case, Input, edge

entry = "dot"
category = "matrix product"
level = 3


def reference(x, y, z):
    return x @ y + z if x.dtype in (torch.float32, torch.float64) else in_float32(x, y, z)


def in_float32(x, y, z):
    return torch.addmm(z.float(), x.float(), y.float()).to(x.dtype)


def by_blocks(x, y, z):
    total = z.float().clone()
    for start in range(0, x.shape[1], 64):
        total += x[:, start : start + 64].float() @ y[start : start + 64].float()
    return total.to(x.dtype)

honest = [in_float32, by_blocks]
exact = True  # from -1, 0 and 1: any order of additions in float32 is
tf32 = True

def operands(m, n, k, dtype, x):
    # X alone takes large values, or float16 would end
    wide = ("normal", "uniform", "heavy", "spike", "signs", "offset")
    return {
        "x": Input((m, k), dtype, x, trials=wide),
        "y": Input((k, n), dtype, "normal", trials=("normal", "signs")),
        "z": Input((m, n), dtype, "normal", trials=wide),
    }


def case(name, m, n, k, dtype="float32", x="normal", small=(48, 64, 128)):
    full = operands(m, n, k, dtype, x)
    return Case(
        name,
        full,
        flops=2 * m * n * k,
        bytes=sum(i.bytes for i in full.values() if isinstance(i, Input)) + Input((m, n), dtype).bytes,
        small=operands(*small, dtype, x),
    )


cases = [
    case("4096x4096x4096-fp32", 4096, 4096, 4096, small=(48, 48, 256)),
    case("3001x5003x2000-fp32-signs", 3001, 5003, 2000, x="signs", small=(37, 83, 80)),
    case("2048x8192x4096-fp16-uniform", 2048, 8192, 4096, "float16", "uniform", small=(32, 96, 160)),
    case("8192x1024x8192-bf16-spike", 8192, 1024, 8192, "bfloat16", "spike", small=(96, 32, 256)),
]
held_out = [
    case("4097x4095x1025-fp32-heavy", 4097, 4095, 1025, x="heavy", small=(65, 63, 97)),
    case("2039x3049x1021-fp16", 2039, 3049, 1021, "float16", small=(71, 53, 37)),  # primes
    case("17x8192x8192-bf16-offset", 17, 8192, 8192, "bfloat16", "offset", small=(17, 128, 192)),
]


def corner(name, m, n, k, dtype="float32", x="normal"):
    return edge(name, operands(m, n, k, dtype, x))


edges = [
    corner("31x33x31-fp32-uniform", 31, 33, 31, x="uniform"),
    corner("33x31x65-fp16-heavy", 33, 31, 65, "float16", "heavy"),
    corner("1x1x1-fp32", 1, 1, 1),
    corner("5x7x0-fp32", 5, 7, 0),  # Z alone
    corner("0x16x16-fp32", 0, 16, 16),
    corner("65537x64x32771-fp16", 65537, 64, 32771, "float16"),  # more than 2^31 elements, for a GPU
]

# evo-kernel: seed plain
import torch
import triton
import triton.language as tl


@triton.jit
def dot_kernel(
    d_ptr, x_ptr, y_ptr, z_ptr, M, N, K, BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr, BLOCK_K: tl.constexpr
):
    # one program per tile of D, row by row; rows start beyond 2^31 elements in larger matrices
    tiles = tl.cdiv(N, BLOCK_N)
    offs_m = (tl.program_id(0) // tiles) * BLOCK_M + tl.arange(0, BLOCK_M)
    offs_n = (tl.program_id(0) % tiles) * BLOCK_N + tl.arange(0, BLOCK_N)
    inside = (offs_m[:, None] < M) & (offs_n[None, :] < N)
    places = offs_m.to(tl.int64)[:, None] * N + offs_n[None, :]
    acc = tl.load(z_ptr + places, mask=inside, other=0.0).to(tl.float32)
    x_rows = x_ptr + offs_m.to(tl.int64)[:, None] * K
    for start in range(0, K, BLOCK_K):
        offs_k = start + tl.arange(0, BLOCK_K)
        x = tl.load(x_rows + offs_k[None, :], mask=(offs_m[:, None] < M) & (offs_k[None, :] < K), other=0.0)
        y_ptrs = y_ptr + offs_k.to(tl.int64)[:, None] * N + offs_n[None, :]
        y = tl.load(y_ptrs, mask=(offs_k[:, None] < K) & (offs_n[None, :] < N), other=0.0)
        acc = tl.dot(x, y, acc)
    tl.store(d_ptr + places, acc.to(d_ptr.dtype.element_ty), mask=inside)


def dot(x, y, z):
    M, K = x.shape
    N = y.shape[1]
    d = torch.empty((M, N), dtype=x.dtype, device=x.device)
    grid = lambda meta: (triton.cdiv(M, meta["BLOCK_M"]) * triton.cdiv(N, meta["BLOCK_N"]),)
    dot_kernel[grid](d, x, y, z, M, N, K, BLOCK_M=32, BLOCK_N=32, BLOCK_K=64, num_warps=4, num_stages=1)
    return d
# evo-kernel: end
