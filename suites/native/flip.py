"""Flip: every row of a matrix in reverse order, out of place.

Memory bound: each element needs to be read once and written once, with no arithmetic. What is hard: the loads run
backwards, so a compiler that only sees falling addresses loads element by element; a row whose length no block
divides starts its reversed blocks off any boundary.
"""
import torch

from suites import FLOATING, Case, Input, edge

entry = "flip"
category = "data movement"
level = 1


def reference(x):
    return x.flip(-1)


def by_index(x):
    return x[..., torch.arange(x.shape[-1] - 1, -1, -1, device=x.device)]


def by_rows(x):
    return x.T.contiguous()[torch.arange(x.shape[-1] - 1, -1, -1, device=x.device)].T.contiguous()


honest = [by_index, by_rows]
exact = True

# copies and sums of what is there: NaN, infinities and the largest numbers come out as IEEE arithmetic has it
TRIALS = (*FLOATING, "special")


def case(name, rows, cols, dtype="float32", distribution="normal", small=(11, 1000)):
    full = Input((rows, cols), dtype, distribution, trials=TRIALS)
    cut = Input(small, dtype, distribution, trials=TRIALS)
    return Case(name, {"x": full}, flops=0, bytes=2 * full.bytes, small={"x": cut})


cases = [
    case("8192x4096-fp32", 8192, 4096, small=(12, 1024)),
    case("4096x16384-fp16-uniform", 4096, 16384, "float16", "uniform", small=(4, 4096)),
    case("65521x509-bf16-heavy", 65521, 509, "bfloat16", "heavy", small=(31, 509)),  # primes
    case("64x1000003-fp32-spike", 64, 1_000_003, distribution="spike", small=(3, 4003)),  # a prime
]
held_out = [
    case("2047x8193-fp16", 2047, 8193, "float16", small=(7, 2049)),
    case("1x10000019-fp32-offset", 1, 10_000_019, distribution="offset", small=(1, 10_007)),  # one row, a prime
    case("5000011x3-bf16-signs", 5_000_011, 3, "bfloat16", "signs", small=(101, 3)),  # many rows of three
]
edges = [
    edge("3x255-fp32-signs", {"x": Input((3, 255), distribution="signs")}),
    edge("3x257-fp32-offset", {"x": Input((3, 257), distribution="offset", trials=TRIALS)}),
    edge("5x127-fp16-padded", {"x": Input((5, 127), "float16", pad=9)}),  # a prime
    edge("3x1-fp32", {"x": Input((3, 1))}),
    edge("0x64-fp32", {"x": Input((0, 64))}),
    edge("65537x32771-fp16", {"x": Input((65537, 32771), "float16")}),  # more than 2^31 elements, for a GPU
]

# evo-kernel: seed plain
import torch
import triton
import triton.language as tl


@triton.jit
def flip_kernel(out_ptr, x_ptr, out_stride, x_stride, cols, BLOCK: tl.constexpr):
    # one program per block of a row, in a one-dimensional grid: there may be any number of rows and of blocks
    pid = tl.program_id(0)
    blocks = tl.cdiv(cols, BLOCK)
    row = (pid // blocks).to(tl.int64)  # 64-bit: rows * cols may pass 2^31 elements
    offs = (pid % blocks) * BLOCK + tl.arange(0, BLOCK)
    mask = offs < cols
    x = tl.load(x_ptr + row * x_stride + (cols - 1 - offs), mask=mask)
    tl.store(out_ptr + row * out_stride + offs, x.to(out_ptr.dtype.element_ty), mask=mask)


def flip(x):
    out = torch.empty_like(x)
    rows, cols = x.shape
    grid = lambda meta: (rows * triton.cdiv(cols, meta["BLOCK"]),)
    flip_kernel[grid](out, x, out.stride(0), x.stride(0), cols, BLOCK=256, num_warps=4)
    return out
# evo-kernel: end
