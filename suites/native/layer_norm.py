"""Layer normalisation, forward: each row becomes (x - mean) / sqrt(variance + eps) * weight + bias.

Memory bound: each element needs to be read once and written once; weight and bias are shared by all rows and stay
in cache. What is hard: keeping a row on chip between the statistics and the result, and a variance that survives
rows whose mean is far from zero (mean(x^2) - mean(x)^2 does not). eps differs between cases, and matters in some.
"""
import torch

from suites import Case, Input, edge

entry = "layer_norm"
category = "normalization"
level = 3


def reference(x, weight, bias, eps):
    return torch.nn.functional.layer_norm(x, (x.shape[-1],), weight, bias, eps)


def two_pass(x, weight, bias, eps):
    f = x.float()
    centred = f - f.sum(-1, keepdim=True) / x.shape[-1]
    scale = torch.rsqrt((centred * centred).sum(-1, keepdim=True) / x.shape[-1] + eps)
    return (centred * scale * weight.float() + bias.float()).to(x.dtype)


def joined_blocks(x, weight, bias, eps):
    # mean and sum of squares of blocks of columns, joined one after another in float32
    count, mean, square = 0, 0.0, 0.0
    for block in x.float().split(256, dim=-1):
        n, own = block.shape[-1], block.mean(-1, keepdim=True)
        shift = own - mean
        square = square + ((block - own) ** 2).sum(-1, keepdim=True) + shift * shift * (count * n / (count + n))
        count += n
        mean = mean + shift * (n / count)
    scale = 1 / torch.sqrt(square / x.shape[-1] + eps)
    return ((x.float() - mean) * scale * weight.float() + bias.float()).to(x.dtype)


honest = [two_pass, joined_blocks]


def case(name, rows, cols, dtype="float32", distribution="normal", eps=1e-5, small=(8, None)):
    def arguments(r, c):
        weight = Input((c,), dtype, trials=("normal", "uniform", "offset", "signs"))
        return {"x": Input((r, c), dtype, distribution), "weight": weight, "bias": weight, "eps": eps}

    full = arguments(rows, cols)
    return Case(
        name,
        full,
        # per element: the sum 1, the sum of squares 2, (x - mean) * scale 2, weight and bias 2
        flops=7 * full["x"].elements,
        bytes=2 * full["x"].bytes + full["weight"].bytes + full["bias"].bytes,
        small=arguments(small[0], small[1] or cols),
    )


cases = [
    case("16384x1024-fp32", 16384, 1024),
    case("8192x4099-fp32-offset", 8192, 4099, distribution="offset", small=(5, 1027)),
    # a variance of 1/12 beside an eps of 1/1000: a kernel that ignores eps is seen
    case("8192x8192-fp16-uniform", 8192, 8192, "float16", "uniform", eps=1e-3, small=(4, 2048)),
    case("4096x12288-bf16-spike", 4096, 12288, "bfloat16", "spike", small=(3, 3072)),
]
held_out = [
    case("5003x769-fp32-heavy", 5003, 769, distribution="heavy", eps=1e-6, small=(11, None)),
    case("2047x16383-fp16", 2047, 16383, "float16", small=(3, 2047)),
    case("1009-rows-of-1-fp32", 1009, 1, small=(13, 1)),  # variance 0: the result is the bias
]


def corner(name, rows, cols, dtype="float32", distribution="normal", eps=1e-5, pad=0):
    weight = Input((cols,), dtype)
    return edge(name, {"x": Input((rows, cols), dtype, distribution, pad=pad), "weight": weight, "bias": weight,
                       "eps": eps})


edges = [
    corner("2x255-fp32-uniform", 2, 255, distribution="uniform", eps=1e-3),
    corner("2x257-fp32-signs", 2, 257, distribution="signs"),
    corner("3x127-fp16-padded-heavy", 3, 127, "float16", "heavy", pad=9),  # a prime
    corner("0x64-fp32", 0, 64),
    corner("65537x32771-fp16", 65537, 32771, "float16"),  # more than 2^31 elements, for a GPU
]

# evo-kernel: seed plain
import torch
import triton
import triton.language as tl


@triton.jit
def layer_norm_kernel(out_ptr, x_ptr, weight_ptr, bias_ptr, out_stride, x_stride, cols, eps, BLOCK: tl.constexpr):
    # one program per row; the row's start is 64-bit because rows * cols may pass 2^31 elements
    row = tl.program_id(0).to(tl.int64)
    x_row = x_ptr + row * x_stride
    out_row = out_ptr + row * out_stride
    # first pass: the mean, one partial sum per lane in float32
    total = tl.zeros((BLOCK,), tl.float32)
    for start in range(0, cols, BLOCK):
        offs = start + tl.arange(0, BLOCK)
        total += tl.load(x_row + offs, mask=offs < cols, other=0.0).to(tl.float32)
    mean = tl.sum(total, axis=0) / cols
    # second pass: the variance around that mean, so a large mean costs no digits
    square = tl.zeros((BLOCK,), tl.float32)
    for start in range(0, cols, BLOCK):
        offs = start + tl.arange(0, BLOCK)
        x = tl.load(x_row + offs, mask=offs < cols, other=0.0).to(tl.float32)
        centred = tl.where(offs < cols, x - mean, 0.0)
        square += centred * centred
    scale = 1.0 / tl.sqrt(tl.sum(square, axis=0) / cols + eps)
    # third pass: the result
    for start in range(0, cols, BLOCK):
        offs = start + tl.arange(0, BLOCK)
        mask = offs < cols
        x = tl.load(x_row + offs, mask=mask, other=0.0).to(tl.float32)
        weight = tl.load(weight_ptr + offs, mask=mask, other=0.0).to(tl.float32)
        bias = tl.load(bias_ptr + offs, mask=mask, other=0.0).to(tl.float32)
        y = (x - mean) * scale * weight + bias
        tl.store(out_row + offs, y.to(out_ptr.dtype.element_ty), mask=mask)


def layer_norm(x, weight, bias, eps):
    out = torch.empty_like(x)
    rows, cols = x.shape
    layer_norm_kernel[(rows,)](
        out, x, weight, bias, out.stride(0), x.stride(0), cols, eps, BLOCK=256, num_warps=4, num_stages=2
    )
    return out
# evo-kernel: end
