"""Leaves weight and bias out, which a new layer has as ones and zeros.

task: layer_norm
gate: correctness/wrong
fools: KernelBench, KernelGYM, KernelAgent
"""

import torch
import triton
import triton.language as tl


@triton.jit
def norm_kernel(out_ptr, x_ptr, x_stride, cols, eps, BLOCK: tl.constexpr):
    row = tl.program_id(0).to(tl.int64)
    offs = tl.arange(0, BLOCK)
    mask = offs < cols
    x = tl.load(x_ptr + row * x_stride + offs, mask=mask, other=0.0).to(tl.float32)
    centred = tl.where(mask, x - tl.sum(x, axis=0) / cols, 0.0)
    scale = 1 / tl.sqrt(tl.sum(centred * centred, axis=0) / cols + eps)
    tl.store(out_ptr + row * cols + offs, (centred * scale).to(out_ptr.dtype.element_ty), mask=mask)


def layer_norm(x, weight, bias, eps):
    out = torch.empty_like(x)
    rows, cols = x.shape
    norm_kernel[(rows,)](out, x, x.stride(0), cols, eps, BLOCK=triton.next_power_of_2(cols))
    return out
