"""Sort: every row of a matrix in ascending order, keys alone.

Right is defined by values: the result must hold exactly the numbers of the row, in order. Equal keys cannot be told
apart, so no sort has to be stable; NaN is not drawn. Memory bound in the least work, one element read and one written, but a
network of comparisons does log2(n)^2 / 2 rounds of them. What is hard: comparisons between elements that lie in
other threads, rows whose length is no power of two, and keys of 16 bits.
"""
import torch

from suites import Case, Input, edge

entry = "sort"
category = "sorting"
level = 4


def reference(x):
    return x.sort(dim=-1).values


def by_place(x):
    return torch.gather(x, -1, x.argsort(dim=-1))


def by_selection(x):
    return x.topk(x.shape[-1], dim=-1, largest=False).values


honest = [by_place, by_selection]
exact = True  # nothing is rounded


def case(name, rows, cols, dtype="float32", distribution="normal", small=(6, None)):
    full = Input((rows, cols), dtype, distribution)
    cut = Input((small[0], small[1] or cols), dtype, distribution)
    return Case(name, {"x": full}, flops=0, bytes=2 * full.bytes, small={"x": cut})


cases = [
    case("65536x512-fp32", 65536, 512, small=(4, 256)),
    case("65536x1024-int32", 65536, 1024, "int32", "integers", small=(3, 128)),
    case("131072x127-fp16-heavy", 131_072, 127, "float16", "heavy", small=(9, None)),
    case("32768x1000-bf16-uniform", 32768, 1000, "bfloat16", "uniform", small=(4, 200)),  # many equal keys
]
held_out = [
    case("20011x1023-fp32-spike", 20_011, 1023, distribution="spike", small=(5, 127)),
    case("50021x257-int32", 50_021, 257, "int32", "integers", small=(7, 129)),
    case("1000003x33-fp16-offset", 1_000_003, 33, "float16", "offset", small=(11, None)),
]


def corner(name, rows, cols, dtype="float32", distribution="normal", pad=0):
    return edge(name, {"x": Input((rows, cols), dtype, distribution, pad=pad)})


edges = [
    corner("5x31-fp32-signs", 5, 31, distribution="signs"),  # almost all keys are equal
    corner("7x64-int32", 7, 64, "int32", "integers"),
    corner("3x65-fp16-padded-heavy", 3, 65, "float16", "heavy", pad=3),
    corner("4x1-fp32", 4, 1),
    corner("0x8-fp32", 0, 8),
    corner("4194319x513-fp16", 4_194_319, 513, "float16"),  # more than 2^31 elements, for a GPU
]

# evo-kernel: seed plain
import torch
import triton
import triton.language as tl


@triton.jit
def sort_kernel(out_ptr, x_ptr, x_stride, cols, BLOCK: tl.constexpr, BLOCK_K: tl.constexpr):
    # a key's place is the number of smaller keys and of equal ones before it; one program places a block of a row
    tiles = tl.cdiv(cols, BLOCK)
    row = (tl.program_id(0) // tiles).to(tl.int64)  # rows * cols may pass 2^31 elements
    offs = (tl.program_id(0) % tiles) * BLOCK + tl.arange(0, BLOCK)
    own = tl.load(x_ptr + row * x_stride + offs, mask=offs < cols)
    place = tl.zeros((BLOCK,), tl.int32)
    for start in range(0, cols, BLOCK_K):
        others = start + tl.arange(0, BLOCK_K)
        keys = tl.load(x_ptr + row * x_stride + others, mask=others < cols)
        equal = (keys[None, :] == own[:, None]) & (others[None, :] < offs[:, None])
        first = (keys[None, :] < own[:, None]) | equal
        place += tl.sum((first & (others[None, :] < cols)).to(tl.int32), axis=1)
    tl.store(out_ptr + row * cols + place, own, mask=offs < cols)


def sort(x):
    rows, cols = x.shape
    out = torch.empty((rows, cols), dtype=x.dtype, device=x.device)
    grid = lambda meta: (rows * triton.cdiv(cols, meta["BLOCK"]),)
    sort_kernel[grid](out, x, x.stride(0), cols, BLOCK=64, BLOCK_K=64, num_warps=4, num_stages=2)
    return out
# evo-kernel: end
