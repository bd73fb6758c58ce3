"""RMS normalisation, backward: the gradients of x and weight, from that of y = x / sqrt(mean(x^2) + eps) * weight.

With r = 1 / sqrt(mean(x^2) + eps) of each row, g the gradient of y and h = g * weight: the gradient of x is
r h - x r^3 mean(h x), and that of weight is the sum of g x r over all rows. Memory bound: two matrices read and one
written. What is hard: two reductions that run across each other, one along rows and one down all columns, without
reading both matrices twice; and a sum over thousands of rows that must not lose digits.
"""
import torch

from suites import Case, Input, edge

entry = "rmsnorm_bwd"
category = "normalization"
level = 4


def wide(*tensors):
    return [t.to(torch.promote_types(t.dtype, torch.float32)) for t in tensors]


def reference(grad, x, weight, eps):
    g, f, w = wide(grad, x, weight)
    r = torch.rsqrt((f * f).mean(-1, keepdim=True) + eps)
    h = g * w
    dx = r * h - f * r**3 * (h * f).mean(-1, keepdim=True)
    return dx.to(x.dtype), (g * f * r).sum(0).to(weight.dtype)


def by_autograd(grad, x, weight, eps):
    f, w = (t.detach().requires_grad_() for t in wide(x, weight))
    with torch.enable_grad():
        y = f * torch.rsqrt(f.square().mean(-1, keepdim=True) + eps) * w
        dx, dw = torch.autograd.grad(y, (f, w), wide(grad)[0])
    return dx.to(x.dtype), dw.to(weight.dtype)


def by_blocks(grad, x, weight, eps):
    # unit rows, and the sum over rows in blocks, as programs would make it
    g, f, w = wide(grad, x, weight)
    r = 1 / torch.sqrt(torch.linalg.vector_norm(f, dim=-1, keepdim=True).square() / x.shape[-1] + eps)
    unit = f * r
    dx = (g * w - unit * ((g * w * unit).sum(-1, keepdim=True) / x.shape[-1])) * r
    total = torch.zeros_like(w)
    for block in (g * unit).split(64):
        total = total + block.sum(0)
    return dx.to(x.dtype), total.to(weight.dtype)


honest = [by_autograd, by_blocks]


def operands(rows, cols, dtype, distribution, eps, pad=0, **x):
    grad = Input((rows, cols), dtype, trials=("normal", "uniform", "signs"))  # sums over rows stay in float16's range
    weight = Input((cols,), dtype, trials=("normal", "uniform", "offset", "signs"))
    return {"grad": grad, "x": Input((rows, cols), dtype, distribution, pad=pad, **x), "weight": weight, "eps": eps}


def case(name, rows, cols, dtype="float32", distribution="normal", eps=1e-5, small=(20, 300)):
    full = operands(rows, cols, dtype, distribution, eps)
    return Case(
        name,
        full,
        # per element: the squares 2, h and its product with x 3, the gradient of x 4, that of weight 2
        flops=11 * rows * cols,
        bytes=3 * full["x"].bytes + 2 * full["weight"].bytes,
        small=operands(*small, dtype, distribution, eps),
    )


cases = [
    case("8192x4096-fp32", 8192, 4096),
    case("4096x5003-fp32-offset", 4096, 5003, distribution="offset", small=(17, 333)),
    case("16384x2048-fp16-uniform", 16384, 2048, "float16", "uniform", eps=1e-1, small=(33, 128)),  # eps matters
    case("2048x16384-bf16-spike", 2048, 16384, "bfloat16", "spike", small=(9, 1000)),
]
held_out = [
    case("5003x769-fp32-heavy", 5003, 769, distribution="heavy", eps=1e-6, small=(23, 129)),
    case("1023x8193-fp16", 1023, 8193, "float16", small=(15, 257)),
    case("100003x64-bf16", 100_003, 64, "bfloat16", eps=1e-2, small=(101, 64)),
]


def corner(name, rows, cols, dtype="float32", distribution="normal", eps=1e-5, pad=0, **x):
    return edge(name, operands(rows, cols, dtype, distribution, eps, pad, **x))


edges = [
    corner("5x255-fp32-signs", 5, 255, distribution="signs"),
    corner("65x33-fp16-padded-heavy", 65, 33, "float16", "heavy", pad=7),
    corner("1x1-fp32", 1, 1, eps=10.0, trials=("normal", "uniform", "signs")),  # larger x: nearly all cancels
    corner("0x64-fp32", 0, 64),  # the sum of no rows is 0
    corner("65537x32771-fp16", 65537, 32771, "float16"),  # more than 2^31 elements, for a GPU
]

# evo-kernel: seed plain
import torch
import triton
import triton.language as tl


@triton.jit
def rmsnorm_dx_kernel(
    dx_ptr, scale_ptr, grad_ptr, x_ptr, weight_ptr, grad_stride, x_stride, cols, eps, BLOCK: tl.constexpr
):
    # one program per row; the row's start is 64-bit because rows * cols may pass 2^31 elements
    row = tl.program_id(0).to(tl.int64)
    grad_row, x_row = grad_ptr + row * grad_stride, x_ptr + row * x_stride
    squares = tl.zeros((BLOCK,), tl.float32)
    products = tl.zeros((BLOCK,), tl.float32)
    for start in range(0, cols, BLOCK):
        offs = start + tl.arange(0, BLOCK)
        mask = offs < cols
        x = tl.load(x_row + offs, mask=mask, other=0.0).to(tl.float32)
        g = tl.load(grad_row + offs, mask=mask, other=0.0).to(tl.float32)
        w = tl.load(weight_ptr + offs, mask=mask, other=0.0).to(tl.float32)
        squares += x * x
        products += g * w * x
    scale = 1.0 / tl.sqrt(tl.sum(squares, axis=0) / cols + eps)
    tl.store(scale_ptr + row, scale)
    share = tl.sum(products, axis=0) * scale * scale / cols
    for start in range(0, cols, BLOCK):
        offs = start + tl.arange(0, BLOCK)
        mask = offs < cols
        x = tl.load(x_row + offs, mask=mask, other=0.0).to(tl.float32)
        g = tl.load(grad_row + offs, mask=mask, other=0.0).to(tl.float32)
        w = tl.load(weight_ptr + offs, mask=mask, other=0.0).to(tl.float32)
        dx = scale * (g * w - x * share)
        tl.store(dx_ptr + row * cols + offs, dx.to(dx_ptr.dtype.element_ty), mask=mask)


@triton.jit
def rmsnorm_parts_kernel(
    parts_ptr, scale_ptr, grad_ptr, x_ptr, grad_stride, x_stride, rows, cols,
    HEIGHT: tl.constexpr, BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr,
):
    # one program sums HEIGHT rows of a block of columns
    tiles = tl.cdiv(cols, BLOCK_N)
    part = tl.program_id(0) // tiles
    offs_n = (tl.program_id(0) % tiles) * BLOCK_N + tl.arange(0, BLOCK_N)
    total = tl.zeros((BLOCK_M, BLOCK_N), tl.float32)
    for start in range(0, HEIGHT, BLOCK_M):
        offs_m = part * HEIGHT + start + tl.arange(0, BLOCK_M)
        wide_m = offs_m.to(tl.int64)[:, None]
        mask = (offs_m[:, None] < rows) & (offs_n[None, :] < cols)
        x = tl.load(x_ptr + wide_m * x_stride + offs_n[None, :], mask=mask, other=0.0).to(tl.float32)
        g = tl.load(grad_ptr + wide_m * grad_stride + offs_n[None, :], mask=mask, other=0.0).to(tl.float32)
        scale = tl.load(scale_ptr + offs_m, mask=offs_m < rows, other=0.0)
        total += g * x * scale[:, None]
    tl.store(parts_ptr + part * cols + offs_n, tl.sum(total, axis=0), mask=offs_n < cols)


@triton.jit
def rmsnorm_dw_kernel(dw_ptr, parts_ptr, parts, cols, BLOCK_N: tl.constexpr):
    offs_n = tl.program_id(0) * BLOCK_N + tl.arange(0, BLOCK_N)
    total = tl.zeros((BLOCK_N,), tl.float32)
    for part in range(0, parts):
        total += tl.load(parts_ptr + part * cols + offs_n, mask=offs_n < cols, other=0.0)
    tl.store(dw_ptr + offs_n, total.to(dw_ptr.dtype.element_ty), mask=offs_n < cols)


def rmsnorm_bwd(grad, x, weight, eps):
    rows, cols = x.shape
    height = 512
    parts = triton.cdiv(rows, height)
    dx = torch.empty((rows, cols), dtype=x.dtype, device=x.device)
    dw = torch.empty((cols,), dtype=weight.dtype, device=x.device)
    scale = torch.empty((rows,), dtype=torch.float32, device=x.device)
    sums = torch.empty((parts, cols), dtype=torch.float32, device=x.device)
    rmsnorm_dx_kernel[(rows,)](
        dx, scale, grad, x, weight, grad.stride(0), x.stride(0), cols, eps, BLOCK=256, num_warps=4, num_stages=2
    )
    grid = lambda meta: (parts * triton.cdiv(cols, meta["BLOCK_N"]),)
    rmsnorm_parts_kernel[grid](
        sums, scale, grad, x, grad.stride(0), x.stride(0), rows, cols,
        HEIGHT=height, BLOCK_M=64, BLOCK_N=32, num_warps=4, num_stages=2,
    )
    rmsnorm_dw_kernel[(triton.cdiv(cols, 64),)](dw, sums, parts, cols, BLOCK_N=64, num_warps=4)
    return dx, dw
# evo-kernel: end
