"""Gated activation: GELU(x) * y, element by element, with the tanh approximation of GELU.

The approximation is the operation, not a liberty: exact GELU (erf) is another task. Memory bound: two elements read
and one written, with about ten operations and one exponential between. What is hard: full bandwidth, and a tanh
that neither overflows nor loses the small values, for inputs in the thousands of both signs.
"""
import torch

from suites import Case, Input, edge

entry = "gelu_mul"
category = "elementwise"
level = 2
FACTORS = ("normal", "uniform", "offset", "signs")  # of larger ones the products leave float16's range


def reference(x, y):
    return torch.nn.functional.gelu(x, approximate="tanh") * y


def in_float32(x, y):
    f = x.float()
    return (0.5 * f * (1 + torch.tanh(0.7978845608028654 * (f + 0.044715 * f * f * f))) * y.float()).to(x.dtype)


def with_sigmoid(x, y):
    f = x.float()
    return (f * torch.sigmoid(1.5957691216057308 * f * (1 + 0.044715 * (f * f))) * y.float()).to(x.dtype)


honest = [in_float32, with_sigmoid]


def case(name, shape, dtype="float32", x="normal", y="normal", small=(13, 777)):
    full = [Input(shape, dtype, x), Input(shape, dtype, y, trials=FACTORS)]
    cut = [Input(small, dtype, x), Input(small, dtype, y, trials=FACTORS)]
    return Case(
        name,
        {"x": full[0], "y": full[1]},
        # per element, as x * y / (1 + exp(x * (a + b * x * x))): 3 for the polynomial, then *, exp, +, / and *
        flops=8 * full[0].elements,
        bytes=3 * full[0].bytes,
        small={"x": cut[0], "y": cut[1]},
    )


cases = [
    case("4096x11008-fp16", (4096, 11008), "float16", small=(16, 768)),
    case("8192x4096-fp32-heavy", (8192, 4096), x="heavy", small=(16, 512)),
    case("4096x14336-bf16-uniform", (4096, 14336), "bfloat16", "uniform", "uniform", small=(8, 1024)),
    case("4093x8191-fp32-spike", (4093, 8191), x="spike", y="spike"),
]
held_out = [
    case("8191x5119-fp16-offset", (8191, 5119), "float16", "offset", small=(7, 1279)),
    case("2x3x5x999983-bf16", (2, 3, 5, 999_983), "bfloat16", small=(2, 3, 5, 307)),  # primes, four dimensions
    case("1x1-fp32", (1, 1), small=(1, 1)),
]


def corner(name, shape, dtype="float32", x="normal", y="normal"):
    return edge(name, {"x": Input(shape, dtype, x), "y": Input(shape, dtype, y, trials=FACTORS)})


edges = [
    corner("255-fp32-signs", (255,), x="signs"),
    corner("257-fp32-offset", (257,), x="offset"),
    corner("7x11x13-bf16-heavy", (7, 11, 13), "bfloat16", "heavy"),  # primes
    corner("1-fp16", (1,), "float16"),
    corner("0x64-fp32", (0, 64)),
    corner("2147483659-fp16", (2**31 + 11,), "float16"),  # more than 2^31 elements, for a GPU
]

# evo-kernel: seed plain
import torch
import triton
import triton.language as tl


@triton.jit
def gelu_mul_kernel(out_ptr, x_ptr, y_ptr, n, BLOCK: tl.constexpr):
    # shapes do not matter here: the three tensors have one memory order, so the kernel walks along memory;
    # 64-bit start, for pid * BLOCK may pass 2^31
    start = tl.program_id(0).to(tl.int64) * BLOCK
    offs = tl.arange(0, BLOCK)
    mask = offs < n - start
    x = tl.load(x_ptr + start + offs, mask=mask, other=0.0).to(tl.float32)
    y = tl.load(y_ptr + start + offs, mask=mask, other=0.0).to(tl.float32)
    # 0.5 * x * (1 + tanh(u)) = x * sigmoid(2 * u), with u = sqrt(2 / pi) * (x + 0.044715 * x^3)
    z = 1.5957691216057308 * (x + 0.044715 * x * x * x)
    # exp of -|z| never overflows; which of the two forms of the sigmoid applies depends on the sign
    small = tl.exp(-tl.abs(z))
    sigmoid = tl.where(z >= 0, 1.0, small) / (1.0 + small)
    tl.store(out_ptr + start + offs, (x * sigmoid * y).to(out_ptr.dtype.element_ty), mask=mask)


def gelu_mul(x, y):
    out = torch.empty_like(x)
    n = x.numel()
    grid = lambda meta: (triton.cdiv(n, meta["BLOCK"]),)
    gelu_mul_kernel[grid](out, x, y, n, BLOCK=256, num_warps=4)
    return out
# evo-kernel: end
