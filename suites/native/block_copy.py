"""Copy with padding: a matrix becomes the upper left corner of one of `rows` x `cols`, and all else of that is 0.

Memory bound: each element is read once and each place of the result written once. What is hard: blocks that reach
beyond the end of the source must not be read there, and must be written as 0 up to the end of the result; stores stay
wide only where no bound is asked for.
"""
import torch

from suites import FLOATING, Case, Input, edge

entry = "block_copy"
category = "data movement"
level = 1


def reference(x, rows, cols):
    return torch.nn.functional.pad(x, (0, cols - x.shape[1], 0, rows - x.shape[0]))


def by_slices(x, rows, cols):
    out = torch.zeros((rows, cols), dtype=x.dtype, device=x.device)
    out[: x.shape[0], : x.shape[1]] = x
    return out


def by_parts(x, rows, cols):
    wide = torch.cat([x, x.new_zeros((x.shape[0], cols - x.shape[1]))], 1)
    return torch.cat([wide, x.new_zeros((rows - x.shape[0], cols))])


honest = [by_slices, by_parts]
exact = True  # nothing is computed


def operands(m, n, rows, cols, dtype, distribution, pad=0):
    x = Input((m, n), dtype, distribution, trials=(*FLOATING, "special"), pad=pad)
    return {"x": x, "rows": rows, "cols": cols}


def case(name, m, n, rows, cols, dtype="float32", distribution="normal", small=(30, 100, 32, 128)):
    full = operands(m, n, rows, cols, dtype, distribution)
    return Case(
        name,
        full,
        flops=0,
        bytes=full["x"].bytes + Input((rows, cols), dtype).bytes,
        small=operands(*small, dtype, distribution),
    )


cases = [
    case("8192x8000-to-8192x8192-fp32", 8192, 8000, 8192, 8192, small=(32, 250, 32, 256)),
    case("5000x5003-to-8192x8192-fp32-heavy", 5000, 5003, 8192, 8192, distribution="heavy", small=(37, 75, 64, 128)),
    case("16384x8191-to-16384x8192-fp16-uniform", 16384, 8191, 16384, 8192, "float16", "uniform",
         small=(64, 127, 64, 128)),  # fmt: skip
    case("4095x16384-to-4096x16384-bf16-offset", 4095, 16384, 4096, 16384, "bfloat16", "offset",
         small=(31, 128, 32, 128)),  # fmt: skip
]
held_out = [
    case("2047x8191-to-2049x8209-fp32-spike", 2047, 8191, 2049, 8209, distribution="spike", small=(31, 127, 33, 129)),
    case("6000x12000-same-size-fp16-signs", 6000, 12000, 6000, 12000, "float16", "signs", small=(40, 90, 40, 90)),
    case("100003x100-to-100032x128-bf16", 100_003, 100, 100_032, 128, "bfloat16", small=(99, 25, 128, 32)),
]


def corner(name, m, n, rows, cols, dtype="float32", distribution="normal", pad=0):
    return edge(name, operands(m, n, rows, cols, dtype, distribution, pad))


edges = [
    corner("31x33-to-32x64-fp32-signs", 31, 33, 32, 64, distribution="signs"),
    corner("33x31-padded-to-35x37-fp16-heavy", 33, 31, 35, 37, "float16", "heavy", pad=5),
    corner("1x1-to-3x5-fp32", 1, 1, 3, 5),
    corner("0x7-to-2x9-fp32", 0, 7, 2, 9),  # nothing but zeros
    corner("65537x32771-to-65538x32800-fp16", 65537, 32771, 65538, 32800, "float16"),  # beyond 2^31, for a GPU
]

# evo-kernel: seed plain
import torch
import triton
import triton.language as tl


@triton.jit
def block_copy_kernel(out_ptr, x_ptr, M, N, rows, cols, x_stride, BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr):
    # one program per block of the result, row by row, on a one-dimensional grid
    tiles = tl.cdiv(cols, BLOCK_N)
    offs_m = (tl.program_id(0) // tiles) * BLOCK_M + tl.arange(0, BLOCK_M)
    offs_n = (tl.program_id(0) % tiles) * BLOCK_N + tl.arange(0, BLOCK_N)
    wide_m = offs_m.to(tl.int64)[:, None]  # rows * cols may pass 2^31 elements
    inside = (offs_m[:, None] < M) & (offs_n[None, :] < N)
    x = tl.load(x_ptr + wide_m * x_stride + offs_n[None, :], mask=inside, other=0.0)
    tl.store(out_ptr + wide_m * cols + offs_n[None, :], x, mask=(offs_m[:, None] < rows) & (offs_n[None, :] < cols))


def block_copy(x, rows, cols):
    out = torch.empty((rows, cols), dtype=x.dtype, device=x.device)
    grid = lambda meta: (triton.cdiv(rows, meta["BLOCK_M"]) * triton.cdiv(cols, meta["BLOCK_N"]),)
    block_copy_kernel[grid](
        out, x, x.shape[0], x.shape[1], rows, cols, x.stride(0), BLOCK_M=32, BLOCK_N=32, num_warps=4
    )
    return out
# evo-kernel: end
