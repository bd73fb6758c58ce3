"""Reversed range: out[i] = x[n - i] for i from 0 to n - 1, so elements n, n - 1, ..., 1 of a longer vector.

Memory bound: one element read and one written. What is hard: a descending range of addresses that begins one off from
where the vector's blocks begin, so that wide loads are neither aligned nor in order; element 0 and those after n are
never read.
"""
import torch

from suites import FLOATING, Case, Input, edge

entry = "reverse_range"
category = "data movement"
level = 1


def reference(x, n):
    return x[1 : n + 1].flip(0)


def by_index(x, n):
    return x[n - torch.arange(n, device=x.device)]


def by_gather(x, n):
    return torch.gather(x, 0, torch.arange(n, 0, -1, device=x.device))


honest = [by_index, by_gather]
exact = True  # nothing is computed


def operands(n, dtype, distribution, after):
    return {"x": Input((n + 1 + after,), dtype, distribution, trials=(*FLOATING, "special")), "n": n}


def case(name, n, dtype="float32", distribution="normal", after=3, small=5000):
    full = operands(n, dtype, distribution, after)
    return Case(
        name, full, flops=0, bytes=2 * Input((n,), dtype).bytes, small=operands(small, dtype, distribution, after)
    )


cases = [
    case("67108864-fp32", 2**26),
    case("67108859-fp32-heavy", 67_108_859, distribution="heavy", small=5003),  # a prime
    case("134217728-fp16-uniform", 2**27, "float16", "uniform", after=0, small=4096),
    case("100000000-bf16-offset", 10**8, "bfloat16", "offset", after=5, small=3000),
]
held_out = [
    case("33554431-fp32-spike", 2**25 - 1, distribution="spike", after=0, small=4095),
    case("99999989-fp16-signs", 99_999_989, "float16", "signs", small=4099),
    case("33554433-bf16", 2**25 + 1, "bfloat16", after=1, small=4097),
]


def corner(name, n, dtype="float32", distribution="normal", after=3):
    return edge(name, operands(n, dtype, distribution, after))


edges = [
    corner("255-fp32-signs", 255, distribution="signs"),
    corner("257-fp16-heavy", 257, "float16", "heavy"),
    corner("512-fp32-after-4", 512, after=4),
    corner("1-fp32", 1, after=0),
    corner("0-fp32", 0),
    corner("2147483659-fp16", 2**31 + 11, "float16"),  # more than 2^31 elements, for a GPU
]

# evo-kernel: seed plain
import torch
import triton
import triton.language as tl


@triton.jit
def reverse_range_kernel(out_ptr, x_ptr, n, BLOCK: tl.constexpr):
    # 64-bit places, because n may pass 2^31
    offs = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    mask = offs < n
    x = tl.load(x_ptr + (n - offs), mask=mask)
    tl.store(out_ptr + offs, x, mask=mask)


def reverse_range(x, n):
    out = torch.empty((n,), dtype=x.dtype, device=x.device)
    reverse_range_kernel[(triton.cdiv(n, 512),)](out, x, n, BLOCK=512, num_warps=4)
    return out
# evo-kernel: end
