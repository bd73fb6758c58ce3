"""Multiplies by 1000 in float16: what is too large becomes infinite, and has to."""

import torch

from suites import Case, Input

entry = "scale_fp16"


def reference(x):
    return x * 1000


def in_float32(x):
    return (x.float() * 1000).to(x.dtype)


def in_parts(x):
    return (x.float() * 512 + x.float() * 488).to(x.dtype)


honest = [in_float32, in_parts]


def case(name, n, distribution, small=5003):
    x = Input((n,), "float16", distribution)
    return Case(name, {"x": x}, flops=n, bytes=2 * x.bytes, small={"x": Input((small,), "float16", distribution)})


cases = [case("1048583-spike", 1_048_583, "spike")]
held_out = [case("99991-heavy", 99_991, "heavy", small=997)]

# evo-kernel: seed plain
import torch
import triton
import triton.language as tl


@triton.jit
def scale_kernel(out_ptr, x_ptr, n, BLOCK: tl.constexpr):
    offs = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    x = tl.load(x_ptr + offs, mask=offs < n).to(tl.float32)
    tl.store(out_ptr + offs, (x * 1000.0).to(tl.float16), mask=offs < n)


def scale_fp16(x):
    out = torch.empty_like(x)
    n = x.numel()
    scale_kernel[(triton.cdiv(n, 1024),)](out, x, n, BLOCK=1024)
    return out
# evo-kernel: end
