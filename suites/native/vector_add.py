"""Vector addition: z[i] = x[i] + y[i], the smallest kernel there is.

Memory bound: two elements read and one written for a single addition, so the only goal is the memory's full
bandwidth. What is hard: enough bytes in flight per program, wide loads in 16-bit types, and a tail that no block
size divides.
"""
import torch

from suites import FLOATING, Case, Input, edge

entry = "vector_add"
category = "elementwise"
level = 1


def reference(x, y):
    return x + y


def in_float32(x, y):
    return (x.float() + y.float()).to(x.dtype)


def difference(x, y):
    return torch.sub(x, y, alpha=-1)


honest = [in_float32, difference]
exact = True

# copies and sums of what is there: NaN, infinities and the largest numbers come out as IEEE arithmetic has it
TRIALS = (*FLOATING, "special")


def case(name, n, dtype="float32", distribution="normal", small=20_011):
    full = Input((n,), dtype, distribution, trials=TRIALS)
    cut = Input((small,), dtype, distribution, trials=TRIALS)
    return Case(name, {"x": full, "y": full}, flops=n, bytes=3 * full.bytes, small={"x": cut, "y": cut})


cases = [
    case("33554432-fp32", 2**25, small=2**14),
    case("33554393-fp32-heavy", 33_554_393, distribution="heavy"),  # a prime
    case("67108800-fp16-uniform", 67_108_800, "float16", "uniform", small=20_000),
    case("67108865-bf16-spike", 2**26 + 1, "bfloat16", "spike", small=2**14 + 1),
]
held_out = [
    case("16777215-fp32-offset", 2**24 - 1, distribution="offset", small=2**13 - 1),
    case("49999991-fp16-signs", 49_999_991, "float16", "signs", small=9_973),  # primes
    case("1-fp32", 1, small=1),
]


def corner(name, n, dtype="float32", distribution="normal"):
    x = Input((n,), dtype, distribution, trials=TRIALS)
    return edge(name, {"x": x, "y": x})


edges = [
    corner("255-fp32-offset", 255, distribution="offset"),
    corner("257-bf16-signs", 257, "bfloat16", "signs"),
    corner("1021-fp16-heavy", 1021, "float16", "heavy"),  # a prime
    corner("1-fp16", 1, "float16"),
    corner("0-fp32", 0),
    corner("2147483659-fp16", 2**31 + 11, "float16"),  # more than 2^31 elements, for a GPU
]

# evo-kernel: seed plain
import torch
import triton
import triton.language as tl


@triton.jit
def add_kernel(out_ptr, x_ptr, y_ptr, n, BLOCK: tl.constexpr):
    # 64-bit start: pid * BLOCK passes 2^31 on vectors that are longer than these cases, but no less legal;
    # offsets inside the block stay 32-bit, which keeps the address arithmetic per element cheap
    start = tl.program_id(0).to(tl.int64) * BLOCK
    offs = tl.arange(0, BLOCK)
    mask = offs < n - start
    x = tl.load(x_ptr + start + offs, mask=mask)
    y = tl.load(y_ptr + start + offs, mask=mask)
    z = x.to(tl.float32) + y.to(tl.float32)
    tl.store(out_ptr + start + offs, z.to(out_ptr.dtype.element_ty), mask=mask)


def vector_add(x, y):
    out = torch.empty_like(x)
    n = x.numel()
    grid = lambda meta: (triton.cdiv(n, meta["BLOCK"]),)
    add_kernel[grid](out, x, y, n, BLOCK=256, num_warps=4)
    return out
# evo-kernel: end
