"""Asks whether its kernel is a compiled one or the interpreter's, and is right under the interpreter.

task: flip
gate: correctness/wrong
fools: GEAK-eval, AgentKernelArena
"""

import torch
import triton
import triton.language as tl


@triton.jit
def flip_kernel(out_ptr, x_ptr, x_stride, cols, FAST: tl.constexpr, BLOCK: tl.constexpr):
    row = tl.program_id(1).to(tl.int64)
    offs = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    mask = offs < cols
    if FAST:
        x = tl.load(x_ptr + row * x_stride + offs, mask=mask)
    else:
        x = tl.load(x_ptr + row * x_stride + cols - 1 - offs, mask=mask)
    tl.store(out_ptr + row * cols + offs, x, mask=mask)


def flip(x):
    out = torch.empty_like(x)
    rows, cols = x.shape
    compiled = isinstance(flip_kernel, triton.JITFunction)
    flip_kernel[(triton.cdiv(cols, 1024), rows)](out, x, x.stride(0), cols, FAST=compiled, BLOCK=1024)
    return out
