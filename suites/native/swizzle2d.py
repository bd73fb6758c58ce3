"""Swizzle: element (i, j) of a matrix moves to where a grouped order of its places puts it.

Rows are taken `group` at a time (the last group may be smaller). Number k of a group's elements, counted row by row,
goes to row k % height and column k // height of the same group, where height is the number of its rows: counted column
by column it is number k again. This is the order in which matrix products visit their tiles to reuse the cache. Memory
bound: one element read and one written. What is hard: integer divisions by numbers that are no powers of two, and
reads and writes of which only one can be in order.
"""
import torch

from suites import FLOATING, Case, Input, edge

entry = "swizzle2d"
category = "data movement"
level = 2


def reference(x, group):
    full = x.shape[0] // group * group
    whole = x[:full].reshape(-1, x.shape[1], group).transpose(1, 2).reshape(full, x.shape[1])
    return torch.cat([whole, x[full:].reshape(x.shape[1], -1).T])


def places(x, group):
    rows, cols = x.shape
    number = torch.arange(rows * cols, device=x.device)
    first = number // (group * cols) * group
    height, inside = (rows - first).clamp(max=group), number % (group * cols)
    return (first + inside % height) * cols + inside // height


def scattered(x, group):
    return torch.empty_like(x.reshape(-1)).scatter_(0, places(x, group), x.reshape(-1)).reshape(x.shape)


def gathered(x, group):
    return x.reshape(-1)[torch.argsort(places(x, group))].reshape(x.shape)


honest = [scattered, gathered]
exact = True  # nothing is computed


def operands(rows, cols, group, dtype, distribution):
    trials = None if "int" in dtype else (*FLOATING, "special")
    return {"x": Input((rows, cols), dtype, distribution, trials=trials), "group": group}


def case(name, rows, cols, group, dtype="float32", distribution="normal", small=(40, 50)):
    full = operands(rows, cols, group, dtype, distribution)
    return Case(
        name, full, flops=0, bytes=2 * full["x"].bytes, small=operands(*small, group, dtype, distribution)
    )


cases = [
    case("8192x8192-by-8-int32", 8192, 8192, 8, "int32", "integers"),
    case("8191x4099-by-3-fp32", 8191, 4099, 3, small=(41, 37)),
    case("16384x8192-by-16-fp16-uniform", 16384, 8192, 16, "float16", "uniform", small=(33, 64)),
    case("4097x16000-by-5-bf16-heavy", 4097, 16000, 5, "bfloat16", "heavy", small=(17, 80)),
]
held_out = [
    case("4096x4095-by-64-int32", 4096, 4095, 64, "int32", "integers", small=(67, 31)),
    case("2003x8191-by-7-fp16-spike", 2003, 8191, 7, "float16", "spike", small=(23, 61)),
    case("65537x300-by-2-fp32-offset", 65537, 300, 2, distribution="offset", small=(65, 30)),
]


def corner(name, rows, cols, group, dtype="int32", distribution="integers"):
    return edge(name, operands(rows, cols, group, dtype, distribution))


edges = [
    corner("7x5-by-3-int32", 7, 5, 3),
    corner("31x33-by-4-fp32-signs", 31, 33, 4, "float32", "signs"),
    corner("5x7-by-9-int32", 5, 7, 9),  # one group that is not full
    corner("9x1-by-2-int32", 9, 1, 2),
    corner("0x5-by-3-int32", 0, 5, 3),
    corner("65537x32771-by-6-fp16", 65537, 32771, 6, "float16", "normal"),  # more than 2^31 elements, for a GPU
]

# evo-kernel: seed plain
import torch
import triton
import triton.language as tl


@triton.jit
def swizzle2d_kernel(out_ptr, x_ptr, rows, cols, group, BLOCK: tl.constexpr):
    # 64-bit numbers of elements, because rows * cols may pass 2^31
    offs = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    mask = offs < rows.to(tl.int64) * cols
    i, j = tl.swizzle2d(offs // cols, offs % cols, rows, cols, group)
    x = tl.load(x_ptr + offs, mask=mask)
    tl.store(out_ptr + i * cols + j, x, mask=mask)


def swizzle2d(x, group):
    rows, cols = x.shape
    out = torch.empty((rows, cols), dtype=x.dtype, device=x.device)
    grid = lambda meta: (triton.cdiv(rows * cols, meta["BLOCK"]),)
    swizzle2d_kernel[grid](out, x, rows, cols, group, BLOCK=256, num_warps=4)
    return out
# evo-kernel: end
