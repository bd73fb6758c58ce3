"""Sets what is negative to zero; the launcher may overwrite its input and return it."""

import torch

from suites import Case, Input

entry = "relu_in_place"
in_place = ("x",)


def reference(x):
    return torch.relu(x)


def clamped(x):
    return x.clamp(min=0)


def maximum(x):
    return torch.maximum(x, torch.zeros_like(x))


honest = [clamped, maximum]


def case(name, n, distribution="normal", small=5003):
    x = Input((n,), "float32", distribution)
    return Case(name, {"x": x}, flops=n, bytes=2 * x.bytes, small={"x": Input((small,), "float32", distribution)})


cases = [case("1048583", 1_048_583)]
held_out = [case("99991-heavy", 99_991, "heavy", small=997)]

# evo-kernel: seed plain
import torch
import triton
import triton.language as tl


@triton.jit
def relu_kernel(out_ptr, x_ptr, n, BLOCK: tl.constexpr):
    offs = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    x = tl.load(x_ptr + offs, mask=offs < n)
    tl.store(out_ptr + offs, tl.maximum(x, 0.0), mask=offs < n)


def relu_in_place(x):
    out = torch.empty_like(x)
    n = x.numel()
    relu_kernel[(triton.cdiv(n, 1024),)](out, x, n, BLOCK=1024)
    return out
# evo-kernel: end
