"""Weights the columns of a matrix and cuts off what is negative: y = max(x * w, 0), with one weight for each column.

It is bound by memory: each element is read and written once. For tests: ten better kernels stand beside it.
"""
import torch

from suites import Case, Input

entry = "weighted"


def reference(x, w):
    return torch.relu(x * w)


def case(name, rows, cols, dtype="float32"):
    few = ("normal", "signs")  # each trial takes time, and what is tried here is the search
    x, w = Input((rows, cols), dtype, trials=few), Input((cols,), dtype, trials=few)
    small = {"x": Input((5, 70), dtype, trials=few), "w": Input((70,), dtype, trials=few)}
    return Case(name, {"x": x, "w": w}, flops=2 * x.elements, bytes=2 * x.bytes + w.bytes, small=small)


cases = [case("4096x1024", 4096, 1024)]
held_out = [case("999x1001", 999, 1001)]

# evo-kernel: seed plain
import torch
import triton
import triton.language as tl


@triton.jit
def scale_kernel(out_ptr, x_ptr, w_ptr, cols, BLOCK: tl.constexpr):
    row = tl.program_id(0)
    for start in range(0, cols, BLOCK):
        offs = start + tl.arange(0, BLOCK)
        x = tl.load(x_ptr + row * cols + offs, mask=offs < cols)
        w = tl.load(w_ptr + offs, mask=offs < cols)
        tl.store(out_ptr + row * cols + offs, x * w, mask=offs < cols)


@triton.jit
def cut_kernel(out_ptr, x_ptr, cols, BLOCK: tl.constexpr):
    row = tl.program_id(0)
    for start in range(0, cols, BLOCK):
        offs = start + tl.arange(0, BLOCK)
        x = tl.load(x_ptr + row * cols + offs, mask=offs < cols)
        tl.store(out_ptr + row * cols + offs, tl.maximum(x, 0.0), mask=offs < cols)


def weighted(x, w):
    rows, cols = x.shape
    scaled = torch.empty_like(x)
    out = torch.empty_like(x)
    scale_kernel[(rows,)](scaled, x, w, cols, BLOCK=64, num_warps=1)
    cut_kernel[(rows,)](out, scaled, cols, BLOCK=64, num_warps=1)
    return out
# evo-kernel: end
