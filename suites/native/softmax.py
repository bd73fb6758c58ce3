"""Row softmax: every row of a matrix becomes exp(x - max(x)) / sum(exp(x - max(x))).

Memory bound: each element needs to be read once and written once. Rows may be longer than any power of two near
them, so masks matter; a row of 1000s must not overflow.
"""
import torch

from suites import FLOATING, Case, Input, edge

entry = "softmax"
category = "reduction"
level = 2


def reference(x):
    return torch.softmax(x, dim=-1)


def base_two(x):
    # powers of two and one reciprocal for each row, in float32
    f = x.float()
    e = torch.exp2((f - f.amax(-1, keepdim=True)) * 1.4426950408889634)
    return (e * (1 / e.sum(-1, keepdim=True))).to(x.dtype)


def online(x):
    # one pass over blocks of columns in float32: maximum and sum are corrected together
    peak = torch.full((x.shape[0], 1), float("-inf"), device=x.device)
    total = torch.zeros((x.shape[0], 1), device=x.device)
    for block in x.float().split(256, dim=-1):
        top = torch.maximum(peak, block.amax(-1, keepdim=True))
        total = total * torch.exp(peak - top) + torch.exp(block - top).sum(-1, keepdim=True)
        peak = top
    return (torch.exp(x.float() - peak) / total).to(x.dtype)


honest = [base_two, online]

# a row with NaN or +infinity is NaN throughout, -infinity gives 0, in whatever order maxima and sums are taken
TRIALS = (*FLOATING, "nonfinite")


def case(name, rows, cols, dtype="float32", distribution="normal", small=(13, None)):
    full = Input((rows, cols), dtype, distribution, trials=TRIALS)
    cut = Input((small[0], small[1] or cols), dtype, distribution, trials=TRIALS)
    return Case(name, {"x": full}, flops=5 * full.elements, bytes=2 * full.bytes, small={"x": cut})


cases = [
    case("4096x1024-fp32", 4096, 1024),
    case("8192x781-fp32-spike", 8192, 781, distribution="spike"),
    case("4096x4096-fp16", 4096, 4096, "float16", "uniform", small=(3, 1200)),
    case("2048x8192-bf16", 2048, 8192, "bfloat16", "offset", small=(2, 2048)),
]
held_out = [
    case("1000x2047-fp32", 1000, 2047, distribution="heavy", small=(7, None)),
    case("3-rows-of-1-fp32", 3, 1, small=(3, 1)),
    case("512x12288-fp16", 512, 12288, "float16", small=(3, None)),
]
edges = [
    edge("2x255-fp32-offset", {"x": Input((2, 255), distribution="offset")}),
    edge("2x257-fp32-signs", {"x": Input((2, 257), distribution="signs")}),
    edge("3x127-fp16-padded-heavy", {"x": Input((3, 127), "float16", "heavy", pad=9)}),  # a prime
    edge("2x1-fp32", {"x": Input((2, 1))}),
    edge("0x64-fp32", {"x": Input((0, 64))}),
    edge("65537x32771-fp16", {"x": Input((65537, 32771), "float16")}),  # more than 2^31 elements, for a GPU
]

# evo-kernel: seed plain
import torch
import triton
import triton.language as tl


@triton.jit
def softmax_kernel(out_ptr, x_ptr, out_stride, x_stride, cols, BLOCK: tl.constexpr):
    # 64-bit: rows * cols may pass 2^31 elements
    row = tl.program_id(0).to(tl.int64)
    # first pass: the row's maximum
    peak = tl.full((BLOCK,), float("-inf"), tl.float32)
    for start in range(0, cols, BLOCK):
        offs = start + tl.arange(0, BLOCK)
        x = tl.load(x_ptr + row * x_stride + offs, mask=offs < cols, other=float("-inf"))
        peak = tl.maximum(peak, x.to(tl.float32))
    top = tl.max(peak, axis=0)
    # second pass: the sum of exponentials
    total = tl.zeros((BLOCK,), tl.float32)
    for start in range(0, cols, BLOCK):
        offs = start + tl.arange(0, BLOCK)
        x = tl.load(x_ptr + row * x_stride + offs, mask=offs < cols, other=float("-inf"))
        total += tl.exp(x.to(tl.float32) - top)
    norm = tl.sum(total, axis=0)
    # third pass: the result
    for start in range(0, cols, BLOCK):
        offs = start + tl.arange(0, BLOCK)
        x = tl.load(x_ptr + row * x_stride + offs, mask=offs < cols, other=float("-inf"))
        y = tl.exp(x.to(tl.float32) - top) / norm
        tl.store(out_ptr + row * out_stride + offs, y.to(out_ptr.dtype.element_ty), mask=offs < cols)


def softmax(x):
    out = torch.empty_like(x)
    rows, cols = x.shape
    softmax_kernel[(rows,)](out, x, out.stride(0), x.stride(0), cols, BLOCK=256, num_warps=4)
    return out
# evo-kernel: end
