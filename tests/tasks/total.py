"""Adds up a vector: the order of the additions is free."""

import torch

from suites import Case, Input

entry = "total"
atomics = True


def reference(x):
    return x.sum().reshape(1)


def by_blocks(x):
    return torch.stack([part.sum() for part in x.split(1024)]).sum().reshape(1)


def by_lanes(x):
    return torch.nn.functional.pad(x, (0, -len(x) % 64)).view(-1, 64).sum(0).sum().reshape(1)


honest = [by_blocks, by_lanes]


def case(name, n, distribution="normal", small=20_011):
    x = Input((n,), "float32", distribution)
    return Case(name, {"x": x}, flops=n - 1, bytes=x.bytes + 4, small={"x": Input((small,), "float32", distribution)})


cases = [case("1048583-uniform", 1_048_583, "uniform")]
held_out = [case("99991-heavy", 99_991, "heavy", small=9973)]

# evo-kernel: seed plain
import torch
import triton
import triton.language as tl


@triton.jit
def total_kernel(out_ptr, x_ptr, n, BLOCK: tl.constexpr):
    total = tl.zeros((BLOCK,), tl.float32)
    for start in range(0, n, BLOCK):
        offs = start + tl.arange(0, BLOCK)
        total += tl.load(x_ptr + offs, mask=offs < n, other=0.0)
    tl.store(out_ptr, tl.sum(total, axis=0))


def total(x):
    out = torch.empty((1,), dtype=x.dtype, device=x.device)
    total_kernel[(1,)](out, x, x.numel(), BLOCK=4096, num_warps=8)
    return out
# evo-kernel: end
