"""Copies more bytes than a 32-bit offset can count."""

import torch

from suites import Case, Input

entry = "large_copy"


def reference(x):
    return x.clone()


def case(name, n, small):
    x = Input((n,), "int8", "signs")
    return Case(name, {"x": x}, flops=0, bytes=2 * n, small={"x": Input((small,), "int8", "signs")})


cases = [case("2147487747", 2**31 + 4099, 20_011)]
held_out = [case("2147483647", 2**31 - 1, 9973)]

# evo-kernel: seed plain
import torch
import triton
import triton.language as tl


@triton.jit
def copy_kernel(out_ptr, x_ptr, n, BLOCK: tl.constexpr):
    offs = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    tl.store(out_ptr + offs, tl.load(x_ptr + offs, mask=offs < n), mask=offs < n)


def large_copy(x):
    out = torch.empty_like(x)
    n = x.numel()
    copy_kernel[(triton.cdiv(n, 4096),)](out, x, n, BLOCK=4096)
    return out
# evo-kernel: end
