import torch
import triton
import triton.language as tl


@triton.jit
def endless_kernel(x):
    while tl.load(x) == 0:
        tl.store(x, 0)


##################################################################################################################################################


def test_endless():
    x = torch.zeros(1, device="cuda")
    endless_kernel[(1,)](x)
    return (x.shape, None)


result_gold = test_endless()
