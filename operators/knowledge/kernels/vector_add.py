"""Wide accesses and enough bytes in flight: 16 bytes a lane, 2048 elements a program."""
import torch
import triton
import triton.language as tl


@triton.jit
def add_kernel(out_ptr, x_ptr, y_ptr, n, BLOCK: tl.constexpr):
    # 64-bit start: pid * BLOCK passes 2^31 on vectors that are longer than these cases, but no less legal;
    # offsets inside the block stay 32-bit, which keeps the address arithmetic per element cheap
    start = tl.program_id(0).to(tl.int64) * BLOCK
    offs = tl.arange(0, BLOCK)
    mask = offs < n - start
    x = tl.load(x_ptr + start + offs, mask=mask)
    y = tl.load(y_ptr + start + offs, mask=mask)
    z = x.to(tl.float32) + y.to(tl.float32)
    tl.store(out_ptr + start + offs, z.to(out_ptr.dtype.element_ty), mask=mask)


def vector_add(x, y):
    out = torch.empty_like(x)
    n = x.numel()
    grid = lambda meta: (triton.cdiv(n, meta["BLOCK"]),)
    add_kernel[grid](out, x, y, n, BLOCK=2048, num_warps=4)
    return out
