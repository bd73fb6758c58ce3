"""A row stays in registers for mean, variance and result: read once. Very long rows take the loop."""
import torch
import triton
import triton.language as tl


@triton.jit
def row_kernel(out_ptr, x_ptr, weight_ptr, bias_ptr, out_stride, x_stride, cols, eps, BLOCK: tl.constexpr):
    # one program per row; the row's start is 64-bit because rows * cols may pass 2^31 elements
    row = tl.program_id(0).to(tl.int64)
    offs = tl.arange(0, BLOCK)
    mask = offs < cols
    x = tl.load(x_ptr + row * x_stride + offs, mask=mask, other=0.0).to(tl.float32)
    weight = tl.load(weight_ptr + offs, mask=mask, other=0.0).to(tl.float32)
    bias = tl.load(bias_ptr + offs, mask=mask, other=0.0).to(tl.float32)
    # the masked lanes are set to zero again after the mean is taken off
    centred = tl.where(mask, x - tl.sum(x, axis=0) / cols, 0.0)
    scale = 1.0 / tl.sqrt(tl.sum(centred * centred, axis=0) / cols + eps)
    y = centred * scale * weight + bias
    tl.store(out_ptr + row * out_stride + offs, y.to(out_ptr.dtype.element_ty), mask=mask)


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
    if 0 < cols <= 16384:
        block = triton.next_power_of_2(cols)
        row_kernel[(rows,)](out, x, weight, bias, out.stride(0), x.stride(0), cols, eps, BLOCK=block, num_warps=8)
        return out
    layer_norm_kernel[(rows,)](
        out, x, weight, bias, out.stride(0), x.stride(0), cols, eps, BLOCK=256, num_warps=4, num_stages=2
    )
    return out
