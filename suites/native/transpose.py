"""Transpose, out of place: a matrix of m rows and n columns becomes a contiguous one of n rows and m columns.

Memory bound: each element needs to be read once and written once, with no arithmetic. What is hard: either the
loads or the stores run across memory, so a tile has to turn round on chip for both to be wide; powers of two as
strides press on few memory channels; matrices of a few columns leave most of a square tile empty.
"""
import torch

from suites import FLOATING, Case, Input, edge

entry = "transpose"
category = "data movement"
level = 2


def reference(x):
    return x.t().contiguous()


def by_einsum(x):
    return torch.einsum("ij->ji", x).contiguous()


def copied(x):
    return torch.empty((x.shape[1], x.shape[0]), dtype=x.dtype, device=x.device).copy_(x.T)


honest = [by_einsum, copied]
exact = True

# copies and sums of what is there: NaN, infinities and the largest numbers come out as IEEE arithmetic has it
TRIALS = (*FLOATING, "special")


def case(name, rows, cols, dtype="float32", distribution="normal", small=(130, 70)):
    full = Input((rows, cols), dtype, distribution, trials=TRIALS)
    cut = Input(small, dtype, distribution, trials=TRIALS)
    return Case(name, {"x": full}, flops=0, bytes=2 * full.bytes, small={"x": cut})


cases = [
    case("8192x8192-fp32", 8192, 8192, small=(128, 128)),
    case("4096x11008-fp16-uniform", 4096, 11008, "float16", "uniform", small=(64, 192)),
    case("16384x4099-bf16-heavy", 16384, 4099, "bfloat16", "heavy", small=(192, 67)),
    case("5003x7001-fp32-spike", 5003, 7001, distribution="spike", small=(131, 97)),  # primes
]
held_out = [
    case("4097x4095-fp16", 4097, 4095, "float16", small=(129, 127)),
    # two rows of a prime length; one row would be its own transpose in memory
    case("2x5000011-fp32-offset", 2, 5_000_011, distribution="offset", small=(2, 1009)),
    case("3000017x3-bf16", 3_000_017, 3, "bfloat16", small=(1013, 3)),  # a prime, three columns
]
edges = [
    edge("31x33-fp32-offset", {"x": Input((31, 33), distribution="offset", trials=TRIALS)}),
    edge("33x31-fp32-columns-signs", {"x": Input((33, 31), distribution="signs", order=(1, 0))}),
    edge("29x37-fp16-padded", {"x": Input((29, 37), "float16", pad=3)}),  # primes
    edge("1x1-fp32", {"x": Input((1, 1))}),
    edge("0x64-fp32", {"x": Input((0, 64))}),
    edge("65537x32771-fp16", {"x": Input((65537, 32771), "float16")}),  # more than 2^31 elements, for a GPU
]

# evo-kernel: seed plain
import torch
import triton
import triton.language as tl


@triton.jit
def transpose_kernel(
    out_ptr, x_ptr, rows, cols, x_stride_row, x_stride_col, out_stride_row, out_stride_col,
    BLOCK_R: tl.constexpr, BLOCK_C: tl.constexpr,
):
    # one program per tile; a one-dimensional grid, because the other dimensions end at 65535
    pid = tl.program_id(0)
    tiles_c = tl.cdiv(cols, BLOCK_C)
    r = (pid // tiles_c) * BLOCK_R + tl.arange(0, BLOCK_R)
    c = (pid % tiles_c) * BLOCK_C + tl.arange(0, BLOCK_C)
    # 64-bit rows and columns: either one is multiplied by a long stride, in x or in the result
    r64 = r.to(tl.int64)
    c64 = c.to(tl.int64)
    x = tl.load(
        x_ptr + r64[:, None] * x_stride_row + c64[None, :] * x_stride_col,
        mask=(r[:, None] < rows) & (c[None, :] < cols),
    )
    tl.store(
        out_ptr + c64[:, None] * out_stride_row + r64[None, :] * out_stride_col,
        tl.trans(x).to(out_ptr.dtype.element_ty),
        mask=(c[:, None] < cols) & (r[None, :] < rows),
    )


def transpose(x):
    rows, cols = x.shape
    out = torch.empty((cols, rows), dtype=x.dtype, device=x.device)
    grid = lambda meta: (triton.cdiv(rows, meta["BLOCK_R"]) * triton.cdiv(cols, meta["BLOCK_C"]),)
    transpose_kernel[grid](
        out, x, rows, cols, x.stride(0), x.stride(1), out.stride(0), out.stride(1),
        BLOCK_R=32, BLOCK_C=32, num_warps=4,
    )
    return out
# evo-kernel: end
