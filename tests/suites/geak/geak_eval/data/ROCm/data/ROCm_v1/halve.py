import pytest
import torch
import triton
import triton.language as tl


@triton.jit
def halve_kernel(x, y, n, BLOCK: tl.constexpr):
    at = tl.arange(0, BLOCK)
    tl.store(y + at, tl.load(x + at, mask=at < n) / 2, mask=at < n)


##################################################################################################################################################  


from geak_eval.perf.ROCm.performance_utils_pytest import PytestBenchmarker, do_bench_config, save_all_benchmark_results

result_gold = {}
OP_NAME_FOR_BENCHMARK = "halve_perf"


@pytest.mark.parametrize("n", [5, 16])
def test_halve(n, request):
    torch.manual_seed(0)
    x = torch.randn(n, device="cuda")
    y = torch.empty_like(x)
    halve_kernel[(1,)](x, y, n, BLOCK=16)
    result_gold[request.node.name] = y.clone().detach().cpu()
    result_gold["_CALL_SUCCESS_"] = torch.tensor([[1.0]])
    assert torch.allclose(y, x / 2)


@pytest.mark.parametrize("n", [5, 16, 0])
def test_performance(n):
    x = torch.randn(n or 4, device="cuda")
    y = torch.empty_like(x)
    timer = PytestBenchmarker(lambda: halve_kernel[(1,)](x, y, n or None, BLOCK=16), OP_NAME_FOR_BENCHMARK, do_bench_config())
    timer.run_benchmark({"n": n})


def test_save_results():
    torch.save(result_gold, __file__.replace(".", "_") + ".pt")


def test_save_performance_results():
    save_all_benchmark_results("perf")
