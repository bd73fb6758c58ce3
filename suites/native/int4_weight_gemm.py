"""Product of 16-bit activations with 4-bit weights, C = X @ W^T, W[n, k] = (nibble - 8) * scale[n, k // 128].

Two weights share a byte: `packed[n, j]` holds weight 2 j in its low four bits and weight 2 j + 1 in its high four. 128
neighbours along k share a scale of X's dtype, so k is a multiple of 128. W may be rounded once to X's dtype before the
product, which is summed in float32; C is rounded once. Bound by reading the weights while X has few rows. What is
hard: taking bytes apart and casting in registers, at a rate that keeps up with memory, into the layout that a dot
wants.
"""
import torch

from suites import Case, Input, edge

entry = "int4_weight_gemm"
category = "quantization"
level = 5
GROUP = 128

def nibbles(packed):
    return torch.stack([packed & 15, packed >> 4], dim=-1).reshape(packed.shape[0], -1)


def weights(packed, scale, dtype):
    return (nibbles(packed).to(dtype) - 8) * scale.to(dtype).repeat_interleave(GROUP, dim=1)


def reference(x, packed, scale):
    dtype = torch.promote_types(x.dtype, torch.float32)
    return (x.to(dtype) @ weights(packed, scale, dtype).T).to(x.dtype)


def in_float32(x, packed, scale):
    total = torch.zeros((x.shape[0], packed.shape[0]), device=x.device)
    whole = weights(packed, scale, torch.float32)
    for start in range(0, x.shape[1], 64):
        total += x[:, start : start + 64].float() @ whole[:, start : start + 64].T
    return total.to(x.dtype)


def rounded(x, packed, scale):
    return (x.float() @ weights(packed, scale, torch.float32).to(x.dtype).float().T).to(x.dtype)


def rounded_by_blocks(x, packed, scale):
    # the same, summed in blocks of 64, as kernels do
    total = torch.zeros((x.shape[0], packed.shape[0]), device=x.device)
    whole = weights(packed, scale, torch.float32).to(x.dtype)
    for start in range(0, x.shape[1], 64):
        total += x[:, start : start + 64].float() @ whole[:, start : start + 64].float().T
    return total.to(x.dtype)


def by_groups(x, packed, scale):
    # sums of each group without its scale, then the scale
    total = torch.zeros((x.shape[0], packed.shape[0]), device=x.device)
    whole = nibbles(packed).float() - 8
    for g in range(scale.shape[1]):
        k = slice(g * GROUP, (g + 1) * GROUP)
        total += x[:, k].float() @ whole[:, k].T * scale[:, g].float()
    return total.to(x.dtype)

honest = [in_float32, rounded, rounded_by_blocks, by_groups]
exact = True  # from -1, 0 and 1: any order of additions in float32 is


def operands(m, n, k, dtype, x):
    # scales are below 1: with the largest numbers of X and large ones float16 would end
    return {
        "x": Input((m, k), dtype, x, trials=("normal", "uniform", "spike", "signs")),
        "packed": Input((n, k // 2), "uint8", "integers"),
        "scale": Input((n, k // GROUP), dtype, "uniform", trials=("uniform", "signs")),
    }


def case(name, m, n, k, dtype="float16", x="normal", small=(16, 48, 256)):
    full = operands(m, n, k, dtype, x)
    return Case(
        name,
        full,
        flops=2 * m * n * k,
        bytes=sum(i.bytes for i in full.values() if isinstance(i, Input)) + Input((m, n), dtype).bytes,
        small=operands(*small, dtype, x),
    )


cases = [
    case("16x16384x8192-fp16", 16, 16384, 8192),
    case("1x8192x8192-bf16-uniform", 1, 8192, 8192, "bfloat16", "uniform", small=(1, 80, 384)),
    case("2048x4096x4096-fp16-signs", 2048, 4096, 4096, x="signs", small=(40, 48, 128)),
    case("64x8191x4096-bf16-spike", 64, 8191, 4096, "bfloat16", "spike", small=(37, 63, 256)),
]
held_out = [
    case("33x4099x8192-fp16-uniform", 33, 4099, 8192, x="uniform", small=(33, 35, 256)),
    case("509x2039x1024-bf16", 509, 2039, 1024, "bfloat16", small=(53, 41, 128)),  # primes
    case("2x12288x4096-fp16-spike", 2, 12288, 4096, x="spike", small=(2, 70, 256)),
]


def corner(name, m, n, k, dtype="float16", x="normal"):
    return edge(name, operands(m, n, k, dtype, x))


edges = [
    corner("31x33x128-fp16-uniform", 31, 33, 128, x="uniform"),
    corner("3x17x384-bf16-spike", 3, 17, 384, "bfloat16", "spike"),
    corner("1x1x128-fp16", 1, 1, 128),
    corner("0x16x128-fp16", 0, 16, 128),
    corner("1x262147x16384-fp16", 1, 262_147, 16384),  # more than 2^31 weights, for a GPU
]

# evo-kernel: seed plain
import torch
import triton
import triton.language as tl


@triton.jit
def int4_kernel(
    c_ptr, x_ptr, packed_ptr, scale_ptr, M, N, K,
    BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr, BLOCK_K: tl.constexpr, GROUP: tl.constexpr,
):
    # one program per tile of C; BLOCK_K bytes hold twice as many weights, even and odd ones in products of their own
    tiles = tl.cdiv(N, BLOCK_N)
    offs_m = (tl.program_id(0) // tiles) * BLOCK_M + tl.arange(0, BLOCK_M)
    offs_n = (tl.program_id(0) % tiles) * BLOCK_N + tl.arange(0, BLOCK_N)
    # rows start beyond 2^31 elements in larger matrices
    wide_m, wide_n = offs_m.to(tl.int64), offs_n.to(tl.int64)
    inside_m, inside_n = offs_m[:, None] < M, offs_n[:, None] < N
    acc = tl.zeros((BLOCK_M, BLOCK_N), tl.float32)
    for start in range(0, K // 2, BLOCK_K):
        offs = start + tl.arange(0, BLOCK_K)
        packed = tl.load(packed_ptr + wide_n[:, None] * (K // 2) + offs[None, :], mask=inside_n, other=0)
        scale = tl.load(
            scale_ptr + wide_n[:, None] * (K // GROUP) + (2 * offs // GROUP)[None, :], mask=inside_n, other=0.0
        ).to(tl.float32)
        low = ((packed & 15).to(tl.float32) - 8.0) * scale
        high = ((packed >> 4).to(tl.float32) - 8.0) * scale
        even = tl.load(x_ptr + wide_m[:, None] * K + 2 * offs[None, :], mask=inside_m, other=0.0)
        odd = tl.load(x_ptr + wide_m[:, None] * K + 2 * offs[None, :] + 1, mask=inside_m, other=0.0)
        acc = tl.dot(even, low.to(even.dtype).T, acc)
        acc = tl.dot(odd, high.to(odd.dtype).T, acc)
    c_ptrs = c_ptr + wide_m[:, None] * N + offs_n[None, :]
    tl.store(c_ptrs, acc.to(c_ptr.dtype.element_ty), mask=inside_m & (offs_n[None, :] < N))


def int4_weight_gemm(x, packed, scale):
    M, K = x.shape
    N = packed.shape[0]
    group = K // scale.shape[1]  # of the definition, and no setting
    c = torch.empty((M, N), dtype=x.dtype, device=x.device)
    grid = lambda meta: (triton.cdiv(M, meta["BLOCK_M"]) * triton.cdiv(N, meta["BLOCK_N"]),)
    int4_kernel[grid](
        c, x, packed, scale, M, N, K, BLOCK_M=16, BLOCK_N=32, BLOCK_K=64, GROUP=group, num_warps=4, num_stages=1
    )
    return c
# evo-kernel: end
