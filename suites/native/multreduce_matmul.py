"""Product of a few rows with a matrix, plus a bias: C = A @ B^T + bias, for one to sixteen rows of A.

Memory bound: B is read once and used by so few rows that matrix units would idle; multiplying and reducing in vector
registers is enough. Summed in float32, rounded once. What is hard: the whole of the memory's bandwidth with few rows,
which leaves only N to share out over programs unless K is split too, and sums that pass between threads.
"""
import torch

from suites import Case, Input, edge

entry = "multreduce_matmul"
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


def case(name, m, n, k, dtype="float16", a="normal", small=(5, 64, 128)):
    full = operands(m, n, k, dtype, a)
    return Case(
        name,
        full,
        flops=2 * m * n * k,
        bytes=sum(i.bytes for i in full.values() if isinstance(i, Input)) + Input((m, n), dtype).bytes,
        small=operands(*small, dtype, a),
    )


cases = [
    case("1x16384x8192-fp16", 1, 16384, 8192, small=(1, 64, 128)),
    case("4x8192x8192-fp32-uniform", 4, 8192, 8192, "float32", "uniform", small=(4, 64, 96)),
    case("16x8191x4099-bf16-spike", 16, 8191, 4099, "bfloat16", "spike", small=(16, 33, 67)),
    case("3x4096x16384-fp16-signs", 3, 4096, 16384, a="signs", small=(3, 48, 256)),
]
held_out = [
    case("2x5003x7001-fp32-heavy", 2, 5003, 7001, "float32", "heavy", small=(2, 35, 101)),  # primes
    case("7x12288x4096-fp16-offset", 7, 12288, 4096, a="offset", small=(7, 40, 130)),
    case("13x4097x8193-bf16", 13, 4097, 8193, "bfloat16", small=(13, 33, 65)),
]


def corner(name, m, n, k, dtype="float16", a="normal"):
    return edge(name, operands(m, n, k, dtype, a))


edges = [
    corner("3x31x33-fp32-signs", 3, 31, 33, "float32", "signs"),
    corner("16x17x127-fp16-heavy", 16, 17, 127, a="heavy"),
    corner("1x1x1-fp32", 1, 1, 1, "float32"),
    corner("2x5x0-fp16", 2, 5, 0),  # nothing but the bias
    corner("0x5x7-fp16", 0, 5, 7),
    corner("1x65537x32771-fp16", 1, 65537, 32771),  # more than 2^31 elements, for a GPU
]

# evo-kernel: seed plain
import torch
import triton
import triton.language as tl


@triton.jit
def multreduce_matmul_kernel(
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
        products = a.to(tl.float32)[:, None, :] * b.to(tl.float32)[None, :, :]
        acc += tl.sum(products, axis=2)
    bias = tl.load(bias_ptr + offs_n, mask=offs_n < N, other=0.0).to(tl.float32)
    c = (acc + bias[None, :]).to(c_ptr.dtype.element_ty)
    c_ptrs = c_ptr + offs_m.to(tl.int64)[:, None] * N + offs_n[None, :]
    tl.store(c_ptrs, c, mask=(offs_m[:, None] < M) & (offs_n[None, :] < N))


def multreduce_matmul(a, b, bias):
    M, K = a.shape
    N = b.shape[0]
    c = torch.empty((M, N), dtype=a.dtype, device=a.device)
    grid = lambda meta: (triton.cdiv(M, meta["BLOCK_M"]) * triton.cdiv(N, meta["BLOCK_N"]),)
    multreduce_matmul_kernel[grid](
        c, a, b, bias, M, N, K, BLOCK_M=4, BLOCK_N=16, BLOCK_K=256, num_warps=4, num_stages=2
    )
    return c
# evo-kernel: end
