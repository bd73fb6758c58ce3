"""Makes tensor descriptors on the device, whose loads give zeros beyond the end.

task: total
"""

import torch
import triton
import triton.language as tl


@triton.jit
def part_kernel(parts_ptr, x_ptr, n, BLOCK: tl.constexpr):
    pid = tl.program_id(0)
    values = tl.make_tensor_descriptor(x_ptr, [n], [1], [BLOCK])
    tl.store(parts_ptr + pid, tl.sum(values.load([pid * BLOCK]), axis=0))


@triton.jit
def join_kernel(out_ptr, parts_ptr, count, BLOCK: tl.constexpr):
    offs = tl.arange(0, BLOCK)
    tl.store(out_ptr, tl.sum(tl.load(parts_ptr + offs, mask=offs < count, other=0.0), axis=0))


def total(x):
    n = x.numel()
    count = triton.cdiv(n, 4096)
    parts, out = x.new_empty((count,)), x.new_empty((1,))
    part_kernel[(count,)](parts, x, n, BLOCK=4096)
    join_kernel[(1,)](out, parts, count, BLOCK=triton.next_power_of_2(count))
    return out
