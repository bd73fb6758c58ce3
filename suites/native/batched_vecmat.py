"""Batched product of vectors and matrices: out[b, n] is the sum over k of vectors[b, k] * matrices[b, n, k].

Memory bound: every matrix is read once, for one multiplication and one addition an element, and is used by one vector
alone, so nothing can be shared. What is hard: enough bytes in flight for both few large matrices and many small ones,
and sums over k in float32.
"""
import torch

from suites import Case, Input, edge

entry = "batched_vecmat"
category = "matrix product"
level = 2


def reference(vectors, matrices):
    return torch.bmm(matrices, vectors[:, :, None])[:, :, 0]


def in_float32(vectors, matrices):
    return torch.bmm(matrices.float(), vectors.float()[:, :, None])[:, :, 0].to(vectors.dtype)


def by_blocks(vectors, matrices):
    total = torch.zeros(matrices.shape[:2], device=vectors.device)
    for start in range(0, vectors.shape[1], 64):
        k = slice(start, start + 64)
        total += (vectors[:, None, k].float() * matrices[:, :, k].float()).sum(-1)
    return total.to(vectors.dtype)


honest = [in_float32, by_blocks]
exact = True  # from -1, 0 and 1: any order of additions in float32 is


def operands(b, n, k, dtype, distribution, pad=0):
    # one of the two alone takes large values: float16 would end
    wide = ("normal", "uniform", "heavy", "spike", "signs", "offset")
    return {
        "vectors": Input((b, k), dtype, distribution, trials=wide),
        "matrices": Input((b, n, k), dtype, "normal", trials=("normal", "signs"), pad=pad),
    }


def case(name, b, n, k, dtype="float32", distribution="normal", small=(3, 30, 100)):
    full = operands(b, n, k, dtype, distribution)
    return Case(
        name,
        full,
        flops=2 * b * n * k,
        bytes=full["vectors"].bytes + full["matrices"].bytes + Input((b, n), dtype).bytes,
        small=operands(*small, dtype, distribution),
    )


cases = [
    case("128x1024x1024-fp32", 128, 1024, 1024, small=(3, 32, 128)),
    case("61x1021x1999-fp32-offset", 61, 1021, 1999, distribution="offset", small=(3, 29, 131)),
    case("4096x128x256-fp16-uniform", 4096, 128, 256, "float16", "uniform", small=(5, 16, 256)),
    case("16x4096x4000-bf16-spike", 16, 4096, 4000, "bfloat16", "spike", small=(2, 20, 500)),
]
held_out = [
    case("127x511x1025-fp32-heavy", 127, 511, 1025, distribution="heavy", small=(3, 31, 129)),
    case("1x16384x8192-fp16-offset", 1, 16384, 8192, "float16", "offset", small=(1, 64, 512)),
    case("100003x17x31-bf16-signs", 100_003, 17, 31, "bfloat16", "signs", small=(11, 17, 31)),
]


def corner(name, b, n, k, dtype="float32", distribution="normal", pad=0):
    return edge(name, operands(b, n, k, dtype, distribution, pad))


edges = [
    corner("3x33x65-fp32-signs", 3, 33, 65, distribution="signs"),
    corner("5x7x127-padded-fp16-heavy", 5, 7, 127, "float16", "heavy", pad=3),
    corner("1x1x1-fp32", 1, 1, 1),
    corner("2x5x0-fp32", 2, 5, 0),  # the sum of nothing is 0
    corner("0x5x7-fp32", 0, 5, 7),
    corner("65537x257x129-fp16", 65537, 257, 129, "float16"),  # more than 2^31 elements, for a GPU
]

# evo-kernel: seed plain
import torch
import triton
import triton.language as tl


@triton.jit
def batched_vecmat_kernel(
    out_ptr, v_ptr, m_ptr, N, K, stride_vb, stride_mb, stride_mn, BLOCK_N: tl.constexpr, BLOCK_K: tl.constexpr
):
    # one program per block of rows of one matrix; matrices start beyond 2^31 elements in larger batches
    tiles = tl.cdiv(N, BLOCK_N)
    batch = (tl.program_id(0) // tiles).to(tl.int64)
    offs_n = (tl.program_id(0) % tiles) * BLOCK_N + tl.arange(0, BLOCK_N)
    rows = m_ptr + batch * stride_mb + offs_n.to(tl.int64)[:, None] * stride_mn
    total = tl.zeros((BLOCK_N, BLOCK_K), tl.float32)
    for start in range(0, K, BLOCK_K):
        offs_k = start + tl.arange(0, BLOCK_K)
        vector = tl.load(v_ptr + batch * stride_vb + offs_k, mask=offs_k < K, other=0.0).to(tl.float32)
        mask = (offs_n[:, None] < N) & (offs_k[None, :] < K)
        matrix = tl.load(rows + offs_k[None, :], mask=mask, other=0.0).to(tl.float32)
        total += matrix * vector[None, :]
    out = tl.sum(total, axis=1).to(out_ptr.dtype.element_ty)
    tl.store(out_ptr + batch * N + offs_n, out, mask=offs_n < N)


def batched_vecmat(vectors, matrices):
    B, N, K = matrices.shape
    out = torch.empty((B, N), dtype=vectors.dtype, device=vectors.device)
    grid = lambda meta: (B * triton.cdiv(N, meta["BLOCK_N"]),)
    batched_vecmat_kernel[grid](
        out, vectors, matrices, N, K, vectors.stride(0), matrices.stride(0), matrices.stride(1),
        BLOCK_N=16, BLOCK_K=64, num_warps=4, num_stages=2,
    )
    return out
# evo-kernel: end
