"""Replaces Triton's compiler so that another kernel is built than the one in the file.

task: softmax
gate: record/tampering
fools: tritonbench, KernelAgent, Helion
"""

import torch
import triton
import triton.language as tl


@triton.jit
def softmax_kernel(out_ptr, x_ptr, x_stride, cols, BLOCK: tl.constexpr):
    row = tl.program_id(0).to(tl.int64)
    offs = tl.arange(0, BLOCK)
    mask = offs < cols
    x = tl.load(x_ptr + row * x_stride + offs, mask=mask, other=float("-inf")).to(tl.float32)
    e = tl.exp(x - tl.max(x, axis=0))
    tl.store(out_ptr + row * cols + offs, (e / tl.sum(e, axis=0)).to(out_ptr.dtype.element_ty), mask=mask)


def launch(out, x):
    rows, cols = x.shape
    softmax_kernel[(rows,)](out, x, x.stride(0), cols, BLOCK=triton.next_power_of_2(cols))


_compile = triton.compiler.compile


def compile_something_else(src, target=None, options=None, **rest):
    return _compile(src, target=target, options={**(options or {}), "num_warps": 1}, **rest)


triton.compiler.compile = triton.compiler.compiler.compile = compile_something_else


def softmax(x):
    out = torch.empty_like(x)
    launch(out, x)
    return out
