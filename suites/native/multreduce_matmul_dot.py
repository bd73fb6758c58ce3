"""Matrix product with a bias, C = A @ B^T + bias, of 16-bit matrices with enough rows to keep matrix units busy.

The same as `multreduce_matmul` for many rows: compute bound, except where A is a few hundred rows high. Summed in
float32, rounded once after the bias. What is hard: dots instead of multiplied and reduced vectors, the order of tiles,
and an epilogue that neither waits for the bias nor rounds before it is added.
"""
import torch

from suites import Case, Input, edge

entry = "multreduce_matmul_dot"
category = "matrix product"
level = 3


def reference(a, b, bias):
    return (a @ b.T).add(bias) if a.dtype in (torch.float32, torch.float64) else in_float32(a, b, bias)


def in_float32(a, b, bias):
    return (a.float() @ b.float().T + bias.float()).to(a.dtype)


def by_blocks(a, b, bias):
    total = bias.float().expand(a.shape[0], b.shape[0]).clone()
    for start in range(0, a.shape[1], 64):
        total += a[:, start : start + 64].float() @ b[:, start : start + 64].float().T
    return total.to(a.dtype)


def transposed(a, b, bias):
    return torch.addmm(bias.float()[:, None], b.float(), a.float().T).T.to(a.dtype).contiguous()

honest = [by_blocks, transposed]
exact = True  # from -1, 0 and 1: any order of additions in float32 is


def operands(m, n, k, dtype, a):
    # A alone takes large values, or float16 would end
    wide = ("normal", "uniform", "heavy", "spike", "signs", "offset")
    return {
        "a": Input((m, k), dtype, a, trials=wide),
        "b": Input((n, k), dtype, "normal", trials=("normal", "signs")),
        "bias": Input((n,), dtype, "normal", trials=wide),
    }


def case(name, m, n, k, dtype="float16", a="normal", small=(48, 64, 128)):
    full = operands(m, n, k, dtype, a)
    return Case(
        name,
        full,
        flops=2 * m * n * k,
        bytes=sum(i.bytes for i in full.values() if isinstance(i, Input)) + Input((m, n), dtype).bytes,
        small=operands(*small, dtype, a),
    )


cases = [
    case("4096x4096x4096-fp16", 4096, 4096, 4096),
    case("256x16384x4096-bf16-uniform", 256, 16384, 4096, "bfloat16", "uniform", small=(32, 96, 160)),
    case("3001x5003x2000-fp16-signs", 3001, 5003, 2000, a="signs", small=(37, 83, 80)),
    case("8192x1024x8192-bf16-spike", 8192, 1024, 8192, "bfloat16", "spike", small=(96, 32, 256)),
]
held_out = [
    case("4097x4095x2049-fp16-heavy", 4097, 4095, 2049, a="heavy", small=(65, 63, 97)),
    case("2039x3049x1021-bf16", 2039, 3049, 1021, "bfloat16", small=(71, 53, 37)),  # primes
    case("65x8192x8192-fp16-offset", 65, 8192, 8192, a="offset", small=(65, 48, 192)),
]


def corner(name, m, n, k, dtype="float16", a="normal"):
    return edge(name, operands(m, n, k, dtype, a))


edges = [
    corner("31x33x31-fp16-uniform", 31, 33, 31, a="uniform"),
    corner("33x31x65-bf16-heavy", 33, 31, 65, "bfloat16", "heavy"),
    corner("1x1x1-fp16", 1, 1, 1),
    corner("5x7x0-fp16", 5, 7, 0),  # nothing but the bias
    corner("0x16x16-fp16", 0, 16, 16),
    corner("65537x64x32771-fp16", 65537, 64, 32771),  # more than 2^31 elements, for a GPU
]

# evo-kernel: seed plain
import torch
import triton
import triton.language as tl


@triton.jit
def multreduce_matmul_dot_kernel(
    c_ptr, a_ptr, b_ptr, bias_ptr, M, N, K,
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
    bias = tl.load(bias_ptr + offs_n, mask=offs_n < N, other=0.0).to(tl.float32)
    c = (acc + bias[None, :]).to(c_ptr.dtype.element_ty)
    c_ptrs = c_ptr + offs_m.to(tl.int64)[:, None] * N + offs_n[None, :]
    tl.store(c_ptrs, c, mask=(offs_m[:, None] < M) & (offs_n[None, :] < N))


def multreduce_matmul_dot(a, b, bias):
    M, K = a.shape
    N = b.shape[0]
    c = torch.empty((M, N), dtype=a.dtype, device=a.device)
    grid = lambda meta: (triton.cdiv(M, meta["BLOCK_M"]) * triton.cdiv(N, meta["BLOCK_N"]),)
    multreduce_matmul_dot_kernel[grid](
        c, a, b, bias, M, N, K, BLOCK_M=32, BLOCK_N=32, BLOCK_K=64, num_warps=4, num_stages=2
    )
    return c
# evo-kernel: end
