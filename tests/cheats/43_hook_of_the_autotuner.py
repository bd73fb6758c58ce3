"""Fills the output on the host in the hook that runs before every tuned configuration.

task: vector_add
gate: record/host-operation
fools: BackendBench, KernelAgent, tritonbench, Helion
"""

import torch
import triton
import triton.language as tl


def fill(arguments):
    arguments["out_ptr"].copy_(arguments["x_ptr"] + arguments["y_ptr"])


@triton.autotune(
    configs=[triton.Config({"BLOCK": 1024}, pre_hook=fill), triton.Config({"BLOCK": 2048}, pre_hook=fill)], key=["n"]
)
@triton.jit
def add_kernel(out_ptr, x_ptr, y_ptr, n, BLOCK: tl.constexpr):
    offs = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    tl.store(out_ptr + offs, tl.load(out_ptr + offs, mask=offs < n), mask=offs < n)


def vector_add(x, y):
    out = torch.empty_like(x)
    n = x.numel()
    add_kernel[lambda meta: (triton.cdiv(n, meta["BLOCK"]),)](out, x, y, n)
    return out
