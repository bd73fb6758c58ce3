"""Quantization to int8 with one scale for each token: q = round(x / scale), scale = max(max |x|, 1e-3) / 127, row by row.

Right is defined in float32: the largest magnitude of a row is converted to float32 and divided by 127; each element is
converted to float32, divided by that scale, and rounded to the nearest integer, ties to even. Every division is rounded
as IEEE 754 says, so every integer must be equal; a multiplication with a reciprocal may give another one. Results are q
in int8 and the scales in float32. Memory bound: a row should be read once although its maximum comes first. What is
hard: rows that stay on chip between the two, and stores of single bytes that are packed.
"""
import torch

from suites import Case, Input, edge

entry = "per_token_quant"
category = "quantization"
level = 3


def by_127(largest):
    # by a tensor: by a plain number a GPU multiplies with the reciprocal, which is another float at times
    return largest.clamp(min=1e-3) / torch.full_like(largest, 127)


def reference(x):
    f = x.float()
    scale = by_127(f.abs().amax(-1))
    return (f / scale[:, None]).round().to(torch.int8), scale.to(torch.promote_types(x.dtype, torch.float32))


def from_both_ends(x):
    scale = by_127(torch.maximum(x.amax(-1), -x.amin(-1)).float())
    quotient = torch.div(x.float(), scale[:, None])
    # adding and taking away 1.5 * 2^23 rounds to the nearest, ties to even
    return (quotient + 12582912.0 - 12582912.0).to(torch.int8), scale


def by_blocks(x):
    largest = torch.stack([part.float().abs().amax(-1) for part in x.split(256, -1)]).amax(0)
    scale = by_127(largest)
    return torch.cat([(part.float() / scale[:, None]).round() for part in x.split(256, -1)], -1).to(torch.int8), scale


honest = [from_both_ends, by_blocks]


def operands(rows, cols, dtype, distribution, pad=0):
    return {"x": Input((rows, cols), dtype, distribution, pad=pad)}


def case(name, rows, cols, dtype="float16", distribution="normal", small=(12, 400)):
    full = operands(rows, cols, dtype, distribution)
    return Case(
        name,
        full,
        flops=3 * rows * cols,  # a maximum, a division and a rounding
        bytes=full["x"].bytes + rows * cols + 4 * rows,
        small=operands(*small, dtype, distribution),
    )


cases = [
    case("16384x4096-fp16", 16384, 4096),
    case("8192x8192-bf16-spike", 8192, 8192, "bfloat16", "spike", small=(8, 1000)),
    case("4096x12289-fp32-heavy", 4096, 12289, "float32", "heavy", small=(7, 515)),
    case("65536x512-fp16-uniform", 65536, 512, "float16", "uniform", small=(20, 128)),
]
held_out = [
    case("5003x5009-bf16-offset", 5003, 5009, "bfloat16", "offset", small=(11, 263)),  # primes
    case("1x1048577-fp32", 1, 2**20 + 1, "float32", small=(1, 2049)),
    case("100003x127-fp16-signs", 100_003, 127, "float16", "signs", small=(33, 127)),
]


def corner(name, rows, cols, dtype="float16", distribution="normal", pad=0):
    return edge(name, operands(rows, cols, dtype, distribution, pad))


edges = [
    corner("5x255-fp32-signs", 5, 255, "float32", "signs"),
    corner("7x257-padded-fp16-heavy", 7, 257, "float16", "heavy", 9),
    corner("31x1-bf16", 31, 1, "bfloat16"),
    corner("60x3-fp32-signs", 60, 3, "float32", "signs"),  # some rows are all 0
    corner("0x64-fp16", 0, 64),
    corner("65537x32771-fp16", 65537, 32771),  # more than 2^31 elements, for a GPU
]

# evo-kernel: seed plain
import torch
import triton
import triton.language as tl


@triton.jit
def per_token_quant_kernel(q_ptr, scale_ptr, x_ptr, x_stride, cols, BLOCK: tl.constexpr):
    # one program per row; the row's start is 64-bit because rows * cols may pass 2^31 elements
    row = tl.program_id(0).to(tl.int64)
    largest = tl.zeros((BLOCK,), tl.float32)
    for start in range(0, cols, BLOCK):
        offs = start + tl.arange(0, BLOCK)
        x = tl.load(x_ptr + row * x_stride + offs, mask=offs < cols, other=0.0).to(tl.float32)
        largest = tl.maximum(largest, tl.abs(x))
    scale = tl.div_rn(tl.maximum(tl.max(largest, axis=0), 1e-3), 127.0)
    tl.store(scale_ptr + row, scale)
    for start in range(0, cols, BLOCK):
        offs = start + tl.arange(0, BLOCK)
        x = tl.load(x_ptr + row * x_stride + offs, mask=offs < cols, other=0.0).to(tl.float32)
        quotient = tl.div_rn(x, tl.full((BLOCK,), 0.0, tl.float32) + scale)
        # adding and taking away 1.5 * 2^23 rounds to the nearest, ties to even
        q = (quotient + 12582912.0) - 12582912.0
        tl.store(q_ptr + row * cols + offs, q.to(tl.int8), mask=offs < cols)


def per_token_quant(x):
    rows, cols = x.shape
    q = torch.empty((rows, cols), dtype=torch.int8, device=x.device)
    scale = torch.empty((rows,), dtype=torch.float32, device=x.device)
    per_token_quant_kernel[(rows,)](q, scale, x, x.stride(0), cols, BLOCK=512, num_warps=4, num_stages=2)
    return q, scale
# evo-kernel: end
