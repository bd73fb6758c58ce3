import torch
import triton
import triton.language as tl


@triton.jit
def increment_kernel(x, n, BLOCK: tl.constexpr):
    at = tl.arange(0, BLOCK)
    tl.store(x + at, tl.load(x + at, mask=at < n) + 1, mask=at < n)


def increment(x):
    increment_kernel[(1,)](x, x.numel(), BLOCK=16)


##################################################################################################################################################


def test_increment():
    x = torch.zeros(10, device="cuda")
    increment(x)
    return {"shape": x.shape, "returned": increment(x)}


result_gold = test_increment()
