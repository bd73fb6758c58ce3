"""Reads its factors from allocations of int64 and float64 that the launcher fills.

task: scale_fp16
"""

import torch
import triton
import triton.language as tl


@triton.jit
def scale_kernel(out_ptr, x_ptr, tens_ptr, halves_ptr, ones_ptr, n, COUNT: tl.constexpr, BLOCK: tl.constexpr):
    offs = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    place = offs % COUNT
    tens = tl.load(tens_ptr + place).to(tl.float32)
    halves = tl.load(halves_ptr + place).to(tl.float32)
    ones = tl.load(ones_ptr + place).to(tl.float32)
    x = tl.load(x_ptr + offs, mask=offs < n, other=0.0).to(tl.float32)
    tl.store(out_ptr + offs, (x * tens * halves * ones * -20.0).to(tl.float16), mask=offs < n)


def scale_fp16(x):
    out = torch.empty_like(x)
    n = x.numel()
    tens = torch.full((301,), 100, dtype=torch.int64, device=x.device)
    halves = torch.full((301,), 0.5, dtype=torch.float64, device=x.device)
    ones = torch.full((301,), -1, dtype=torch.int64, device=x.device)
    scale_kernel[(triton.cdiv(n, 1024),)](out, x, tens, halves, ones, n, COUNT=301, BLOCK=1024)
    return out
