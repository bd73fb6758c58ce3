"""Row sums: the sum of each row of a matrix, accumulated in float32.

Memory bound: each element is read once and next to nothing is written. What is hard: few long rows (64 rows leave
most of a GPU idle unless a row is split over programs and the parts are joined), many short rows (the opposite),
and sums of a million numbers that must not lose digits in one running total.
"""
import torch

from suites import Case, Input, edge

entry = "row_sum"
category = "reduction"
level = 2
FLOAT16 = ("normal", "heavy", "spike", "signs")  # sums of the others leave float16's range


def reference(x):
    return x.sum(dim=-1)


def by_blocks(x):
    total = torch.zeros(x.shape[0], device=x.device)
    for block in x.float().split(max(256, x.shape[1] // 1024), dim=-1):
        total = total + block.sum(-1)
    return total.to(x.dtype)


def by_lanes(x):
    # one partial sum for each lane of a few warps, more for very long rows: chains of up to 4096 additions are honest
    lanes = max(64, x.shape[1] // 4096)
    total = torch.zeros((x.shape[0], lanes), device=x.device)
    for block in x.float().split(lanes, dim=-1):
        total[:, : block.shape[-1]] += block
    return total.sum(-1).to(x.dtype)


honest = [by_blocks, by_lanes]
exact = True  # from -1, 0 and 1: any order of additions in float32 is


def case(name, rows, cols, dtype="float32", distribution="normal", small=(4, None)):
    # distributions are chosen so that no sum leaves float16's range, and sums differ by more than a rounding
    trials = FLOAT16 if dtype == "float16" else None
    full = Input((rows, cols), dtype, distribution, trials=trials)
    cut = Input((small[0], small[1] or cols), dtype, distribution, trials=trials)
    out = Input((rows,), dtype)
    return Case(name, {"x": full}, flops=rows * (cols - 1), bytes=full.bytes + out.bytes, small={"x": cut})


cases = [
    case("64x1048576-fp32", 64, 2**20, small=(4, 2**13)),
    case("4096x4096-fp32-offset", 4096, 4096, distribution="offset", small=(16, 1024)),
    case("512x131071-fp16-signs", 512, 131_071, "float16", "signs", small=(4, 8191)),  # prime; exact
    case("1024x65536-bf16-spike", 1024, 65536, "bfloat16", "spike", small=(8, 4096)),
]
held_out = [
    case("333x99991-fp32-heavy", 333, 99_991, distribution="heavy", small=(7, 4999)),  # prime
    case("8191x4097-fp16", 8191, 4097, "float16", small=(7, 2049)),
    case("1000003x7-fp32-uniform", 1_000_003, 7, distribution="uniform", small=(101, None)),  # many short rows
]
edges = [
    edge("3x255-fp32-heavy", {"x": Input((3, 255), distribution="heavy")}),
    edge("3x257-bf16-uniform", {"x": Input((3, 257), "bfloat16", "uniform")}),
    edge("5x127-fp16-padded", {"x": Input((5, 127), "float16", trials=FLOAT16, pad=9)}),  # a prime
    edge("3x1-fp32", {"x": Input((3, 1))}),
    edge("3x0-fp32", {"x": Input((3, 0))}),  # the sum of nothing is 0
    edge("0x64-fp32", {"x": Input((0, 64))}),
    edge("3x1073741827-fp16", {"x": Input((3, 2**30 + 3), "float16", trials=FLOAT16)}),  # beyond 2^31, for a GPU
]

# evo-kernel: seed plain
import torch
import triton
import triton.language as tl


@triton.jit
def row_sum_kernel(out_ptr, x_ptr, x_stride, cols, BLOCK: tl.constexpr):
    # one program per row; the row's start is 64-bit because rows * cols may pass 2^31 elements
    row = tl.program_id(0).to(tl.int64)
    x_row = x_ptr + row * x_stride
    # one partial sum per lane: shorter chains of additions lose fewer digits than one running total
    total = tl.zeros((BLOCK,), tl.float32)
    for start in range(0, cols, BLOCK):
        offs = start + tl.arange(0, BLOCK)
        total += tl.load(x_row + offs, mask=offs < cols, other=0.0).to(tl.float32)
    tl.store(out_ptr + row, tl.sum(total, axis=0).to(out_ptr.dtype.element_ty))


def row_sum(x):
    rows, cols = x.shape
    out = torch.empty((rows,), dtype=x.dtype, device=x.device)
    row_sum_kernel[(rows,)](out, x, x.stride(0), cols, BLOCK=256, num_warps=4, num_stages=2)
    return out
# evo-kernel: end
