"""Matrix product C = A @ B^T of 16-bit matrices whose rows are padded in memory, summed in float32, rounded once.

Both operands are stored with the summed dimension innermost, as activations and the weight of a linear layer are, and
the start of each row is some elements after the end of the one before. Compute bound. What is hard: blocks of two
dimensions addressed by shape, strides and offsets, with bounds checked at the edges alone, and tiles kept coming.
"""
import torch

from suites import Case, Input, edge

entry = "block_pointer_matmul"
category = "matrix product"
level = 3


def reference(a, b):
    return a @ b.T


def in_float32(a, b):
    return (a.float() @ b.float().T).to(a.dtype)


def by_blocks(a, b):
    total = torch.zeros((a.shape[0], b.shape[0]), device=a.device)
    for start in range(0, a.shape[1], 64):
        total += a[:, start : start + 64].float() @ b[:, start : start + 64].float().T
    return total.to(a.dtype)

honest = [in_float32, by_blocks]
exact = True  # from -1, 0 and 1: any order of additions in float32 is


def operands(m, n, k, dtype, a, pad=8):
    # A alone takes large values, or float16 would end
    wide = ("normal", "uniform", "heavy", "spike", "signs", "offset")
    return {
        "a": Input((m, k), dtype, a, trials=wide, pad=pad),
        "b": Input((n, k), dtype, "normal", trials=("normal", "signs"), pad=pad),
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
    case("2048x8192x4096-bf16-uniform", 2048, 8192, 4096, "bfloat16", "uniform", small=(32, 96, 160)),
    case("3001x5003x2000-fp16-signs", 3001, 5003, 2000, a="signs", small=(37, 83, 80)),
    case("8192x1024x8192-bf16-spike", 8192, 1024, 8192, "bfloat16", "spike", small=(96, 32, 256)),
]
held_out = [
    case("4097x4095x2049-fp16-heavy", 4097, 4095, 2049, a="heavy", small=(65, 63, 97)),
    case("2039x3049x1021-bf16", 2039, 3049, 1021, "bfloat16", small=(71, 53, 37)),  # primes
    case("17x8192x8192-fp16-offset", 17, 8192, 8192, a="offset", small=(17, 128, 192)),
]


def corner(name, m, n, k, dtype="float16", a="normal"):
    return edge(name, operands(m, n, k, dtype, a))


edges = [
    corner("31x33x31-fp16-uniform", 31, 33, 31, a="uniform"),
    corner("33x31x33-bf16-heavy", 33, 31, 33, "bfloat16", "heavy"),
    corner("1x1x1-fp16", 1, 1, 1),
    corner("5x7x0-fp16", 5, 7, 0),  # the sum of nothing is 0
    corner("0x16x16-fp16", 0, 16, 16),
    corner("65537x64x32771-fp16", 65537, 64, 32771),  # more than 2^31 elements, for a GPU
]

# evo-kernel: seed plain
import torch
import triton
import triton.language as tl


@triton.jit
def block_pointer_kernel(
    c_ptr, a_ptr, b_ptr, M, N, K, stride_am, stride_bn,
    BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr, BLOCK_K: tl.constexpr,
):
    # one program per tile of C, row by row; block pointers count in 64 bits
    tiles = tl.cdiv(N, BLOCK_N)
    m = (tl.program_id(0) // tiles) * BLOCK_M
    n = (tl.program_id(0) % tiles) * BLOCK_N
    a = tl.make_block_ptr(a_ptr, (M, K), (stride_am, 1), (m, 0), (BLOCK_M, BLOCK_K), (1, 0))
    b = tl.make_block_ptr(b_ptr, (K, N), (1, stride_bn), (0, n), (BLOCK_K, BLOCK_N), (0, 1))
    acc = tl.zeros((BLOCK_M, BLOCK_N), tl.float32)
    for _ in range(0, K, BLOCK_K):
        acc = tl.dot(
            tl.load(a, boundary_check=(0, 1), padding_option="zero"),
            tl.load(b, boundary_check=(0, 1), padding_option="zero"),
            acc,
        )
        a = tl.advance(a, (0, BLOCK_K))
        b = tl.advance(b, (BLOCK_K, 0))
    c = tl.make_block_ptr(c_ptr, (M, N), (N, 1), (m, n), (BLOCK_M, BLOCK_N), (1, 0))
    tl.store(c, acc.to(c_ptr.dtype.element_ty), boundary_check=(0, 1))


def block_pointer_matmul(a, b):
    M, K = a.shape
    N = b.shape[0]
    c = torch.empty((M, N), dtype=a.dtype, device=a.device)
    grid = lambda meta: (triton.cdiv(M, meta["BLOCK_M"]) * triton.cdiv(N, meta["BLOCK_N"]),)
    block_pointer_kernel[grid](
        c, a, b, M, N, K, a.stride(0), b.stride(0), BLOCK_M=32, BLOCK_N=32, BLOCK_K=64, num_warps=4, num_stages=1
    )
    return c
# evo-kernel: end
