import torch
import triton
import triton.language as tl


@triton.jit
def negate_kernel(x, y, n, BLOCK: tl.constexpr):
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    found = -tl.load(x + at, mask=at < n)
    tl.store(y + at, tl.where(tl.extra.hip.libdevice.isnan(found) != 0, 0.0, found), mask=at < n)


def negate(x):
    y = torch.empty_like(x)
    negate_kernel[(triton.cdiv(x.numel(), 16),)](x, y, x.numel(), BLOCK=16)
    return y


##################################################################################################################################################


def test_negate():
    return {"one": negate(torch.randn(20, device="cuda"))}


result_gold = test_negate()
