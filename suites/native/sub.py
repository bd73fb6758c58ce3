"""Subtraction: z[i, j] = x[i, j] - y[i, j] of two matrices of one shape, whose rows may be padded in memory.

Memory bound: two elements read and one written for a single subtraction. What is hard: rows that are longer in memory
than they are wide, so that the matrices are no flat arrays, and keeping loads wide all the same.
"""
import torch

from suites import FLOATING, Case, Input, edge

entry = "sub"
category = "elementwise"
level = 1


def reference(x, y):
    return x - y


def in_float32(x, y):
    return (x.float() - y.float()).to(x.dtype)


def negated(x, y):
    return torch.add(x.float(), y.float(), alpha=-1).to(x.dtype)


honest = [in_float32, negated]
exact = True  # from -1, 0 and 1 every difference is


def operands(rows, cols, dtype, distribution, pad):
    trials = (*FLOATING, "special")
    x = Input((rows, cols), dtype, distribution, trials=trials, pad=pad)
    return {"x": x, "y": Input((rows, cols), dtype, distribution, trials=trials)}


def case(name, rows, cols, dtype="float32", distribution="normal", pad=0, small=(16, 500)):
    full = operands(rows, cols, dtype, distribution, pad)
    return Case(
        name, full, flops=rows * cols, bytes=3 * full["x"].bytes, small=operands(*small, dtype, distribution, pad)
    )


cases = [
    case("8192x8192-fp32", 8192, 8192),
    case("8191x4099-fp32-heavy-padded", 8191, 4099, distribution="heavy", pad=5, small=(15, 515)),
    case("16384x8192-fp16-uniform", 16384, 8192, "float16", "uniform"),
    case("4096x16384-bf16-offset-padded", 4096, 16384, "bfloat16", "offset", pad=64, small=(8, 1024)),
]
held_out = [
    case("65537x511-fp32-spike", 65537, 511, distribution="spike", small=(33, 255)),
    case("1x33554393-fp16-signs", 1, 33_554_393, "float16", "signs", small=(1, 5003)),
    case("2047x16381-bf16-padded", 2047, 16_381, "bfloat16", pad=3, small=(7, 1021)),
]


def corner(name, rows, cols, dtype="float32", distribution="normal", pad=0):
    return edge(name, operands(rows, cols, dtype, distribution, pad))


edges = [
    corner("3x255-fp32-signs", 3, 255, distribution="signs"),
    corner("5x257-fp16-padded-heavy", 5, 257, "float16", "heavy", pad=9),
    corner("127x1-fp32", 127, 1),
    corner("1x1-fp32", 1, 1),
    corner("0x64-fp32", 0, 64),
    corner("65537x32771-fp16", 65537, 32771, "float16"),  # more than 2^31 elements, for a GPU
]

# evo-kernel: seed plain
import torch
import triton
import triton.language as tl


@triton.jit
def sub_kernel(z_ptr, x_ptr, y_ptr, x_stride, y_stride, cols, BLOCK: tl.constexpr):
    # one program per part of a row; the row's start is 64-bit because rows * cols may pass 2^31 elements
    parts = tl.cdiv(cols, BLOCK)
    row = (tl.program_id(0) // parts).to(tl.int64)
    offs = (tl.program_id(0) % parts) * BLOCK + tl.arange(0, BLOCK)
    mask = offs < cols
    x = tl.load(x_ptr + row * x_stride + offs, mask=mask)
    y = tl.load(y_ptr + row * y_stride + offs, mask=mask)
    tl.store(z_ptr + row * cols + offs, x - y, mask=mask)


def sub(x, y):
    rows, cols = x.shape
    z = torch.empty((rows, cols), dtype=x.dtype, device=x.device)
    grid = lambda meta: (rows * triton.cdiv(cols, meta["BLOCK"]),)
    sub_kernel[grid](z, x, y, x.stride(0), y.stride(0), cols, BLOCK=512, num_warps=4)
    return z
# evo-kernel: end
