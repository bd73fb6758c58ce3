"""Matrix product over chosen blocks: C is the sum over t of A[:, block order[t]] @ B[block order[t], :].

A block is 32 neighbouring places of the summed dimension; `order` says which is used in each step, in any order and
some of them twice. Summed in float32, rounded once. Compute bound. What is hard: addresses in the loop follow from its
counter through a table in memory, so that pointers cannot simply advance and loads of the next step must be begun
before the product of this one, although where they lie is not known until the table has answered.
"""
import math

import torch

from suites import Case, Input, edge

entry = "iv_dependent_matmul"
category = "matrix product"
level = 3
BLOCK = 32  # summed elements in a step

def chosen(a, b, order):
    place = (order.long()[:, None] * BLOCK + torch.arange(BLOCK, device=a.device)).reshape(-1)
    return a[:, place], b[place]


def reference(a, b, order):
    left, right = chosen(a, b, order)
    return left @ right


def in_float32(a, b, order):
    left, right = chosen(a, b, order)
    return (left.float() @ right.float()).to(a.dtype)


def by_counts(a, b, order):
    # a block that is used twice counts twice
    count = torch.bincount(order, minlength=a.shape[1] // BLOCK).float().repeat_interleave(BLOCK)
    return (a.float() * count @ b.float()).to(a.dtype)

honest = [in_float32, by_counts]
exact = True  # from -1, 0 and 1: any order of additions in float32 is


def operands(m, n, k, steps, dtype, a):
    # A alone takes large values, or float16 would end
    wide = ("normal", "uniform", "heavy", "spike", "signs", "offset")
    return {
        "a": Input((m, k), dtype, a, trials=wide),
        "b": Input((k, n), dtype, "normal", trials=("normal", "signs")),
        "order": Input((steps,), "int32", "indices", high=max(1, k // BLOCK)),
    }


def fewest(blocks, steps):
    """Return how many different blocks are used at least, but for one draw of `order` in tens of thousands."""
    one, two = (1 - 1 / blocks) ** steps, max(0.0, 1 - 2 / blocks) ** steps  # that a block, or two, are not used
    deviation = math.sqrt(max(0.0, blocks * (blocks - 1) * two + blocks * one - (blocks * one) ** 2))
    return max(min(1, steps), math.floor(blocks * (1 - one) - 4 * deviation))


def case(name, m, n, k, steps, dtype="float16", a="normal", small=(48, 64, 128, 3)):
    full = operands(m, n, k, steps, dtype, a)
    # a block that is used twice need not be read nor multiplied twice (`by_counts`), and one that is not used not at all
    used = fewest(k // BLOCK, steps) * BLOCK
    read = Input((m, used), dtype).bytes + Input((used, n), dtype).bytes + full["order"].bytes
    return Case(
        name,
        full,
        flops=2 * m * n * used,
        bytes=read + Input((m, n), dtype).bytes,
        small=operands(*small, dtype, a),
    )


cases = [
    case("4096x4096x8192-128-fp16", 4096, 4096, 8192, 128, small=(48, 64, 256, 5)),
    case("2048x8192x4096-64-bf16-uniform", 2048, 8192, 4096, 64, "bfloat16", "uniform", small=(32, 96, 160, 4)),
    case("3001x5003x2016-63-fp16-signs", 3001, 5003, 2016, 63, a="signs", small=(37, 83, 96, 7)),
    case("8192x1024x8192-300-bf16-spike", 8192, 1024, 8192, 300, "bfloat16", "spike", small=(96, 32, 128, 9)),
]
held_out = [
    case("4097x4095x2048-65-fp16-heavy", 4097, 4095, 2048, 65, a="heavy", small=(65, 63, 96, 5)),
    case("2039x3049x1024-31-bf16", 2039, 3049, 1024, 31, "bfloat16", small=(71, 53, 64, 3)),
    case("17x8192x8192-256-fp16-offset", 17, 8192, 8192, 256, a="offset", small=(17, 128, 128, 6)),
]


def corner(name, m, n, k, steps, dtype="float16", a="normal"):
    return edge(name, operands(m, n, k, steps, dtype, a))


edges = [
    corner("31x33x64-3-fp16-uniform", 31, 33, 64, 3, a="uniform"),
    corner("33x31x96-1-bf16-heavy", 33, 31, 96, 1, "bfloat16", "heavy"),
    corner("1x1x32-2-fp16", 1, 1, 32, 2),  # one block, used twice
    corner("5x7x32-0-fp16", 5, 7, 32, 0),  # the sum of nothing is 0
    corner("0x16x32-1-fp16", 0, 16, 32, 1),
    corner("65537x64x32800-40-fp16", 65537, 64, 32800, 40),  # more than 2^31 elements, for a GPU
]

# evo-kernel: seed plain
import torch
import triton
import triton.language as tl


@triton.jit
def iv_dependent_kernel(
    c_ptr, a_ptr, b_ptr, order_ptr, M, N, K, steps,
    BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr, STEP: tl.constexpr,
):
    # one program per tile of C, row by row; rows start beyond 2^31 elements in larger matrices
    tiles = tl.cdiv(N, BLOCK_N)
    offs_m = (tl.program_id(0) // tiles) * BLOCK_M + tl.arange(0, BLOCK_M)
    offs_n = (tl.program_id(0) % tiles) * BLOCK_N + tl.arange(0, BLOCK_N)
    a_rows = a_ptr + offs_m.to(tl.int64)[:, None] * K
    acc = tl.zeros((BLOCK_M, BLOCK_N), tl.float32)
    for t in range(0, steps):
        offs_k = tl.load(order_ptr + t) * STEP + tl.arange(0, STEP)
        a = tl.load(a_rows + offs_k[None, :], mask=offs_m[:, None] < M, other=0.0)
        b_ptrs = b_ptr + offs_k.to(tl.int64)[:, None] * N + offs_n[None, :]
        b = tl.load(b_ptrs, mask=offs_n[None, :] < N, other=0.0)
        acc = tl.dot(a, b, acc)
    c_ptrs = c_ptr + offs_m.to(tl.int64)[:, None] * N + offs_n[None, :]
    tl.store(c_ptrs, acc.to(c_ptr.dtype.element_ty), mask=(offs_m[:, None] < M) & (offs_n[None, :] < N))


def iv_dependent_matmul(a, b, order):
    M, K = a.shape
    N = b.shape[1]
    step = 32  # of the definition, and no setting
    c = torch.empty((M, N), dtype=a.dtype, device=a.device)
    grid = lambda meta: (triton.cdiv(M, meta["BLOCK_M"]) * triton.cdiv(N, meta["BLOCK_N"]),)
    iv_dependent_kernel[grid](
        c, a, b, order, M, N, K, order.shape[0], BLOCK_M=32, BLOCK_N=32, STEP=step, num_warps=4, num_stages=1
    )
    return c
# evo-kernel: end
