"""Two products of float8 in a chain, O = scale * (Q @ K^T) @ V, where what lies between them may be float8 too.

Q, K and V are float8 (e4m3); Q @ K^T is summed in float32 and multiplied by `scale`. Before the second product it may
be rounded once to float8, or to any wider dtype; limits on errors allow for that. Nothing may be cut off at float8's
range: what could leave it is divided by a power of two first, one for each row or for a part of it. O is bfloat16. The
heads' width d is a power of two from 32 to 128. What is hard: the float32 result of one dot becomes an 8-bit operand of
the next, in another layout of registers, inside the loop; chips without float8 must cast.
"""
import torch

from suites import Case, Input, edge

entry = "chained_dot_fp8"
category = "matrix product"
level = 5


def result(x):
    # bfloat16 from 8 bits; what runs in float64 stays there
    return torch.float64 if x.dtype == torch.float64 else torch.bfloat16


def reference(q, k, v, scale):
    dtype = torch.float64 if q.dtype == torch.float64 else torch.float32
    return (q.to(dtype) @ k.to(dtype).T * scale @ v.to(dtype)).to(result(q))


def in_float32(q, k, v, scale):
    total = torch.zeros(q.shape, device=q.device)
    for start in range(0, k.shape[0], 64):
        part = q.float() @ k[start : start + 64].float().T * scale
        total += part @ v[start : start + 64].float()
    return total.bfloat16()


def rounded(middle):
    # a power of two for each row brings its largest number between a quarter and a half of float8's range
    largest = middle.abs().amax(1, keepdim=True) if middle.numel() else middle.sum(1, keepdim=True)
    power = torch.exp2(torch.floor(torch.log2(224 / largest.clamp(min=1e-30))))
    return (middle * power).to(torch.float8_e4m3fn).float() / power


def rounded_by_rows(q, k, v, scale):
    return (rounded(q.float() @ k.float().T * scale) @ v.float()).bfloat16()


def rounded_by_blocks(q, k, v, scale):
    total = torch.zeros(q.shape, device=q.device)
    for start in range(0, k.shape[0], 64):
        total += rounded(q.float() @ k[start : start + 64].float().T * scale) @ v[start : start + 64].float()
    return total.bfloat16()


honest = [in_float32, rounded_by_rows, rounded_by_blocks]

def operands(m, n, d, q, scale):
    every = ("normal", "uniform", "signs")
    return {
        "q": Input((m, d), "float8_e4m3fn", q, trials=every),
        "k": Input((n, d), "float8_e4m3fn", "normal", trials=("normal", "signs")),
        "v": Input((n, d), "float8_e4m3fn", "normal", trials=every),
        "scale": scale,
    }


def case(name, m, n, d, q="normal", scale=0.125, small=(48, 64, 32)):
    full = operands(m, n, d, q, scale)
    return Case(
        name,
        full,
        flops=2 * (m + n) * d * d,  # the chain may be computed from its other end, but for roundings
        bytes=sum(i.bytes for i in full.values() if isinstance(i, Input)) + Input((m, d), "bfloat16").bytes,
        small=operands(*small, q, scale),
    )


cases = [
    case("8192x8192x128", 8192, 8192, 128),
    case("16384x4096x64-uniform", 16384, 4096, 64, "uniform", small=(64, 48, 64)),
    case("5003x3001x64-signs", 5003, 3001, 64, "signs", 0.25, small=(53, 37, 32)),
    case("4096x16384x128-half", 4096, 16384, 128, scale=0.5, small=(32, 128, 32)),
]
held_out = [
    case("4097x4095x64", 4097, 4095, 64, small=(65, 63, 32)),
    case("2039x3049x128-uniform", 2039, 3049, 128, "uniform", 0.3, small=(71, 53, 64)),  # primes
    case("17x32768x32", 17, 32768, 32, small=(17, 160, 32)),
]


def corner(name, m, n, d, q="normal", scale=0.125):
    return edge(name, operands(m, n, d, q, scale))


edges = [
    corner("31x33x32-uniform", 31, 33, 32, "uniform"),
    corner("33x31x64-signs", 33, 31, 64, "signs", 1.0),
    corner("1x1x32", 1, 1, 32),
    corner("5x0x32", 5, 0, 32),  # the sum of nothing is 0
    corner("0x16x32", 0, 16, 32),
    corner("33554503x17x64", 33_554_503, 17, 64),  # more than 2^31 elements, for a GPU
]

# evo-kernel: seed plain
import torch
import triton
import triton.language as tl


@triton.jit
def chained_dot_kernel(
    o_ptr, q_ptr, k_ptr, v_ptr, scale, M, N, D: tl.constexpr, BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr
):
    # one program per block of rows of Q goes over all of K and V; between the products numbers are bfloat16
    offs_m = tl.program_id(0) * BLOCK_M + tl.arange(0, BLOCK_M)
    offs_d = tl.arange(0, D)
    places = offs_m.to(tl.int64)[:, None] * D + offs_d[None, :]  # M * D may pass 2^31
    q = tl.load(q_ptr + places, mask=offs_m[:, None] < M, other=0.0)
    acc = tl.zeros((BLOCK_M, D), tl.float32)
    for start in range(0, N, BLOCK_N):
        offs_n = start + tl.arange(0, BLOCK_N)
        others = offs_n.to(tl.int64)[:, None] * D + offs_d[None, :]
        k = tl.load(k_ptr + others, mask=offs_n[:, None] < N, other=0.0)
        v = tl.load(v_ptr + others, mask=offs_n[:, None] < N, other=0.0)
        middle = (tl.dot(q, k.T) * scale).to(tl.bfloat16)
        acc = tl.dot(middle, v.to(tl.bfloat16), acc)
    tl.store(o_ptr + places, acc.to(tl.bfloat16), mask=offs_m[:, None] < M)


def chained_dot_fp8(q, k, v, scale):
    M, D = q.shape
    o = torch.empty((M, D), dtype=torch.bfloat16, device=q.device)
    grid = lambda meta: (triton.cdiv(M, meta["BLOCK_M"]),)
    chained_dot_kernel[grid](o, q, k, v, scale, M, k.shape[0], D, BLOCK_M=32, BLOCK_N=32, num_warps=4, num_stages=1)
    return o
# evo-kernel: end
