"""Row maxima: the largest element of each row of a matrix.

Memory bound: each element is read once and next to nothing is written. What is hard: wide loads into a two-dimensional
block that is reduced in registers, few long rows beside many short ones, and maxima of rows whose elements are all
negative, where a masked lane must not count as 0.
"""
import torch

from suites import Case, Input, edge

entry = "load_reduce"
category = "reduction"
level = 2


def reference(x):
    return x.amax(dim=-1)


def by_order(x):
    return x.topk(1, dim=-1).values[..., 0]


def by_blocks(x):
    largest = x[:, 0].float()
    for block in x.float().split(1024, dim=-1):
        largest = torch.maximum(largest, block.max(-1).values)
    return largest.to(x.dtype)


honest = [by_order, by_blocks]
exact = True  # nothing is rounded


def case(name, rows, cols, dtype="float32", distribution="normal", small=(32, 128)):
    full = Input((rows, cols), dtype, distribution)
    return Case(
        name,
        {"x": full},
        flops=rows * (cols - 1),
        bytes=full.bytes + Input((rows,), dtype).bytes,
        small={"x": Input(small, dtype, distribution)},
    )


cases = [
    case("131072x1024-fp32", 131_072, 1024),
    case("4096x16383-fp32-heavy", 4096, 16_383, distribution="heavy", small=(16, 1023)),
    case("262144x512-fp16-uniform", 262_144, 512, "float16", "uniform", small=(64, 64)),
    case("512x262144-bf16-offset", 512, 262_144, "bfloat16", "offset", small=(8, 2048)),
]
held_out = [
    case("65537x257-fp32-spike", 65_537, 257, distribution="spike", small=(33, 257)),
    case("8191x8191-fp16", 8191, 8191, "float16", small=(15, 511)),
    case("1000003x31-bf16-heavy", 1_000_003, 31, "bfloat16", "heavy", small=(101, 31)),
]


def corner(name, rows, cols, dtype="float32", distribution="normal", pad=0):
    return edge(name, {"x": Input((rows, cols), dtype, distribution, pad=pad)})


edges = [
    corner("33x255-fp32-signs", 33, 255, distribution="signs"),
    corner("31x127-fp16-padded-heavy", 31, 127, "float16", "heavy", pad=9),
    corner("5x1-fp32", 5, 1),
    corner("300x2-fp32", 300, 2),  # both elements of many rows are negative
    corner("0x64-fp32", 0, 64),
    corner("65537x32771-fp16", 65537, 32771, "float16"),  # more than 2^31 elements, for a GPU
]

# evo-kernel: seed plain
import torch
import triton
import triton.language as tl


@triton.jit
def load_reduce_kernel(out_ptr, x_ptr, rows, cols, x_stride, BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr):
    # one program per block of rows; 64-bit starts, because rows * cols may pass 2^31 elements
    offs_m = tl.program_id(0) * BLOCK_M + tl.arange(0, BLOCK_M)
    row_ptrs = x_ptr + offs_m.to(tl.int64)[:, None] * x_stride
    largest = tl.full((BLOCK_M, BLOCK_N), float("-inf"), tl.float32)
    for start in range(0, cols, BLOCK_N):
        offs_n = start + tl.arange(0, BLOCK_N)
        mask = (offs_m[:, None] < rows) & (offs_n[None, :] < cols)
        x = tl.load(row_ptrs + offs_n[None, :], mask=mask, other=float("-inf"))
        largest = tl.maximum(largest, x.to(tl.float32))
    tl.store(out_ptr + offs_m, tl.max(largest, axis=1).to(out_ptr.dtype.element_ty), mask=offs_m < rows)


def load_reduce(x):
    rows, cols = x.shape
    out = torch.empty((rows,), dtype=x.dtype, device=x.device)
    grid = lambda meta: (triton.cdiv(rows, meta["BLOCK_M"]),)
    load_reduce_kernel[grid](out, x, rows, cols, x.stride(0), BLOCK_M=8, BLOCK_N=128, num_warps=4, num_stages=2)
    return out
# evo-kernel: end
