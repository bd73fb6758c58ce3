"""RMS normalisation, forward: each row becomes x / sqrt(mean(x^2) + eps) * weight.

Memory bound: each element needs to be read once and written once; the weight is shared by all rows and stays in
cache. What is hard: keeping a row on chip between the sum of squares and the result, and squaring in float32, for
the square of a 1000 has no float16. eps differs between cases, and matters in some.
"""
import torch

from suites import Case, Input, edge

entry = "rms_norm"
category = "normalization"
level = 2
WEIGHTS = ("normal", "uniform", "offset", "signs")  # with larger ones float16 ends


def reference(x, weight, eps):
    return torch.nn.functional.rms_norm(x, (x.shape[-1],), weight, eps)


def in_float32(x, weight, eps):
    f = x.float()
    scale = torch.rsqrt((f * f).sum(-1, keepdim=True) / x.shape[-1] + eps)
    return (f * scale * weight.float()).to(x.dtype)


def by_blocks(x, weight, eps):
    # the sum of squares block by block, and a division in place of a reciprocal
    f = x.float()
    square = torch.zeros((*x.shape[:-1], 1), device=x.device)
    for block in f.split(256, dim=-1):
        square = square + torch.einsum("...i,...i->...", block, block)[..., None]
    return (weight.float() * (f / torch.sqrt(square / x.shape[-1] + eps))).to(x.dtype)


def by_lanes(x, weight, eps):
    # one partial sum a lane, as kernels keep them: a lane that met a large square loses what comes after it
    f = x.float()
    square = torch.zeros((*x.shape[:-1], 128), device=x.device)
    for block in f.split(128, dim=-1):
        square[..., : block.shape[-1]] += block * block
    scale = torch.rsqrt(square.sum(-1, keepdim=True) / x.shape[-1] + eps)
    return (f * scale * weight.float()).to(x.dtype)


honest = [in_float32, by_blocks, by_lanes]


def case(name, rows, cols, dtype="float32", distribution="normal", eps=1e-6, small=(8, None)):
    def arguments(r, c):
        return {"x": Input((r, c), dtype, distribution), "weight": Input((c,), dtype, trials=WEIGHTS), "eps": eps}

    full = arguments(rows, cols)
    return Case(
        name,
        full,
        flops=4 * full["x"].elements,  # per element: the sum of squares 2, scale and weight 2
        bytes=2 * full["x"].bytes + full["weight"].bytes,
        small=arguments(small[0], small[1] or cols),
    )


cases = [
    case("16384x2048-bf16", 16384, 2048, "bfloat16"),
    # a mean square of 1/3 beside an eps of 1/1000: a kernel that ignores eps is seen
    case("8192x4096-fp32-uniform", 8192, 4096, distribution="uniform", eps=1e-3, small=(8, 1024)),
    case("8192x5119-fp16-spike", 8192, 5119, "float16", "spike", eps=1e-5, small=(7, 1279)),
    case("4096x16384-bf16-heavy", 4096, 16384, "bfloat16", "heavy", small=(4, 4096)),
]
held_out = [
    case("3001x8191-fp32-offset", 3001, 8191, distribution="offset", small=(5, 2047)),
    case("131072x127-fp16-signs", 131072, 127, "float16", "signs", eps=1e-5, small=(29, None)),  # many short rows
    case("1x1048577-fp32", 1, 2**20 + 1, small=(1, 2**13 + 1)),  # one long row
]


def corner(name, rows, cols, dtype="float32", distribution="normal", eps=1e-6, pad=0):
    return edge(name, {"x": Input((rows, cols), dtype, distribution, pad=pad), "weight": Input((cols,), dtype),
                       "eps": eps})


edges = [
    corner("2x255-fp32-offset", 2, 255, distribution="offset"),
    corner("2x257-fp32-signs", 2, 257, distribution="signs", eps=1e-3),
    corner("3x127-fp16-padded-heavy", 3, 127, "float16", "heavy", pad=9),  # a prime
    corner("2x1-fp32", 2, 1),
    corner("0x64-fp32", 0, 64),
    corner("65537x32771-fp16", 65537, 32771, "float16"),  # more than 2^31 elements, for a GPU
]

# evo-kernel: seed plain
import torch
import triton
import triton.language as tl


@triton.jit
def rms_norm_kernel(out_ptr, x_ptr, weight_ptr, out_stride, x_stride, cols, eps, BLOCK: tl.constexpr):
    # one program per row; the row's start is 64-bit because rows * cols may pass 2^31 elements
    row = tl.program_id(0).to(tl.int64)
    x_row = x_ptr + row * x_stride
    out_row = out_ptr + row * out_stride
    # first pass: the sum of squares, one partial sum per lane in float32
    square = tl.zeros((BLOCK,), tl.float32)
    for start in range(0, cols, BLOCK):
        offs = start + tl.arange(0, BLOCK)
        x = tl.load(x_row + offs, mask=offs < cols, other=0.0).to(tl.float32)
        square += x * x
    scale = 1.0 / tl.sqrt(tl.sum(square, axis=0) / cols + eps)
    # second pass: the result
    for start in range(0, cols, BLOCK):
        offs = start + tl.arange(0, BLOCK)
        mask = offs < cols
        x = tl.load(x_row + offs, mask=mask, other=0.0).to(tl.float32)
        weight = tl.load(weight_ptr + offs, mask=mask, other=0.0).to(tl.float32)
        tl.store(out_row + offs, (x * scale * weight).to(out_ptr.dtype.element_ty), mask=mask)


def rms_norm(x, weight, eps):
    out = torch.empty_like(x)
    rows, cols = x.shape
    rms_norm_kernel[(rows,)](
        out, x, weight, out.stride(0), x.stride(0), cols, eps, BLOCK=256, num_warps=4, num_stages=2
    )
    return out
# evo-kernel: end
