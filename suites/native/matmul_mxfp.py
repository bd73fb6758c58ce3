"""Matrix product of microscaled float8, C = A @ B^T, where 32 neighbours along k share a power of two as their scale.

Elements are float8 (e4m3), scales are exponents stored with a bias of 127 in one byte (e8m0): element (m, k) of A is
A[m, k] * 2^(scale_a[m, k // 32] - 127), and so for B. Summed in float32; C is bfloat16, rounded once. k is a multiple of
32. Compute bound where matrix units take scales along (tl.dot_scaled); elsewhere they must be multiplied in first. What
is hard: scales that change every 32 places of the sum, in the layout of registers that the dot wants.
"""
import torch

from suites import Case, Input, edge

entry = "matmul_mxfp"
category = "matrix product"
level = 5
GROUP = 32

def result(x):
    # bfloat16 from 8 bits; what runs in float64 stays there
    return torch.float64 if x.dtype == torch.float64 else torch.bfloat16


def scaled(x, scale):
    dtype = torch.promote_types(x.dtype, torch.float32) if x.dtype.itemsize > 1 else torch.float32
    return x.to(dtype) * torch.exp2(scale.to(dtype) - 127).repeat_interleave(GROUP, dim=1)


def reference(a, b, scale_a, scale_b):
    return (scaled(a, scale_a) @ scaled(b, scale_b).T).to(result(a))


def by_groups(a, b, scale_a, scale_b):
    # products of 32 places without scales, then both scales at once
    total = torch.zeros((a.shape[0], b.shape[0]), device=a.device)
    for g in range(scale_a.shape[1]):
        part = a[:, g * GROUP : (g + 1) * GROUP].float() @ b[:, g * GROUP : (g + 1) * GROUP].float().T
        power = scale_a[:, g, None].float() + scale_b[None, :, g].float() - 254
        total += part * torch.exp2(power)
    return total.bfloat16()


def in_float64(a, b, scale_a, scale_b):
    return (scaled(a, scale_a).double() @ scaled(b, scale_b).double().T).bfloat16()

honest = [by_groups, in_float64]
# not exact even from -1, 0 and 1: products with their scales span more than float32 holds


def operands(m, n, k, a, low=121, high=133):
    exponents = {"dtype": "uint8", "distribution": "indices", "low": low, "high": high}  # as a rule from 1/64 to 32
    return {
        "a": Input((m, k), "float8_e4m3fn", a, trials=("normal", "uniform", "offset", "signs")),
        "b": Input((n, k), "float8_e4m3fn", "normal", trials=("normal", "signs")),
        "scale_a": Input((m, k // GROUP), **exponents),
        "scale_b": Input((n, k // GROUP), **exponents),
    }


def case(name, m, n, k, a="normal", small=(48, 64, 128), exponents=(121, 133)):
    full = operands(m, n, k, a, *exponents)
    return Case(
        name,
        full,
        flops=2 * m * n * k,
        bytes=sum(i.bytes for i in full.values() if isinstance(i, Input)) + Input((m, n), "bfloat16").bytes,
        small=operands(*small, a, *exponents),
    )


cases = [
    case("4096x4096x4096", 4096, 4096, 4096),
    case("2048x8192x8192-uniform", 2048, 8192, 8192, "uniform", small=(32, 96, 160)),
    case("3001x5003x2016-signs", 3001, 5003, 2016, "signs", small=(37, 83, 96)),
    case("64x16384x4096-offset", 64, 16384, 4096, "offset", small=(64, 48, 256)),
]
held_out = [
    case("4097x4095x2048", 4097, 4095, 2048, small=(65, 63, 96)),
    case("2039x3049x1024-uniform", 2039, 3049, 1024, "uniform", small=(71, 53, 64)),  # primes
    case("1x8192x16384-offset", 1, 8192, 16384, "offset", small=(1, 128, 192)),
    # with one scale for all no group rules the sum: what each addition loses adds up
    case("257x511x8192-uniform-even", 257, 511, 8192, "uniform", small=(17, 31, 2560), exponents=(127, 128)),
]


def corner(name, m, n, k, a="normal"):
    return edge(name, operands(m, n, k, a))


edges = [
    corner("31x33x32-uniform", 31, 33, 32, "uniform"),
    corner("33x31x96-signs", 33, 31, 96, "signs"),
    corner("1x1x32", 1, 1, 32),
    corner("0x16x32", 0, 16, 32),
    corner("65537x64x32800", 65537, 64, 32800),  # more than 2^31 elements, for a GPU
]

# evo-kernel: seed plain
import torch
import triton
import triton.language as tl


@triton.jit
def mxfp_kernel(
    c_ptr, a_ptr, b_ptr, scale_a_ptr, scale_b_ptr, M, N, K,
    BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr, GROUP: tl.constexpr,
):
    # one program per tile of C, one group of the sum at a time: a float8 product, then both scales of the group
    tiles = tl.cdiv(N, BLOCK_N)
    offs_m = (tl.program_id(0) // tiles) * BLOCK_M + tl.arange(0, BLOCK_M)
    offs_n = (tl.program_id(0) % tiles) * BLOCK_N + tl.arange(0, BLOCK_N)
    # rows start beyond 2^31 elements in larger matrices
    wide_m, wide_n = offs_m.to(tl.int64), offs_n.to(tl.int64)
    acc = tl.zeros((BLOCK_M, BLOCK_N), tl.float32)
    for group in range(0, K // GROUP):
        offs_k = group * GROUP + tl.arange(0, GROUP)
        a = tl.load(a_ptr + wide_m[:, None] * K + offs_k[None, :], mask=offs_m[:, None] < M, other=0.0)
        b = tl.load(b_ptr + wide_n[:, None] * K + offs_k[None, :], mask=offs_n[:, None] < N, other=0.0)
        scale_a = tl.load(scale_a_ptr + wide_m * (K // GROUP) + group, mask=offs_m < M, other=127)
        scale_b = tl.load(scale_b_ptr + wide_n * (K // GROUP) + group, mask=offs_n < N, other=127)
        # a float32 whose exponent is the scale and whose fraction is 0
        power_a = (scale_a.to(tl.int32) << 23).to(tl.float32, bitcast=True)
        power_b = (scale_b.to(tl.int32) << 23).to(tl.float32, bitcast=True)
        acc += tl.dot(a, b.T) * power_a[:, None] * power_b[None, :]
    c_ptrs = c_ptr + wide_m[:, None] * N + offs_n[None, :]
    tl.store(c_ptrs, acc.to(tl.bfloat16), mask=(offs_m[:, None] < M) & (offs_n[None, :] < N))


def matmul_mxfp(a, b, scale_a, scale_b):
    M, K = a.shape
    N = b.shape[0]
    group = K // scale_a.shape[1]  # of the definition, and no setting
    c = torch.empty((M, N), dtype=torch.bfloat16, device=a.device)
    grid = lambda meta: (triton.cdiv(M, meta["BLOCK_M"]) * triton.cdiv(N, meta["BLOCK_N"]),)
    mxfp_kernel[grid](
        c, a, b, scale_a, scale_b, M, N, K, BLOCK_M=32, BLOCK_N=32, GROUP=group, num_warps=4, num_stages=1
    )
    return c
# evo-kernel: end
