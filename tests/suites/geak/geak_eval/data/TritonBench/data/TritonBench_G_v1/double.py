import torch
import triton
import triton.language as tl


@triton.autotune(configs=[triton.Config({"BLOCK": 8}, num_warps=2), triton.Config({"BLOCK": 16})], key=["n"])
@triton.jit
def double_kernel(x, y, n, BLOCK: "tl.constexpr"):
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    tl.store(y + at, 2 * tl.load(x + at, mask=at < n), mask=at < n)


def double(x):
    assert x.is_cuda
    y = torch.empty_like(x)
    with torch.cuda.device(x.device):
        double_kernel[lambda meta: [triton.cdiv(x.numel(), meta["BLOCK"])]](x, y, x.numel())
    return y


##################################################################################################################################################


def test_double():
    torch.cuda.synchronize()
    return {"one": double(torch.randn(20, device="cuda:0")), "two": double(torch.ones(3).cuda())}


result_gold = test_double()
