import os
import sys

sys.path.append(os.path.abspath(os.path.join(os.path.dirname(__file__), "..")))

from TritonBench_v1.negate import negate
from performance_utils import Performance_Metrics

import torch


class performance_metrics(Performance_Metrics):
    def __init__(self):
        super().__init__("negate")

    def get_input_tensors(self):
        self.input_tensors = [(torch.randn(n),) for n in (20, 3, 40)]

    def to_cuda(self, given):
        return tuple(v.cuda() for v in given)

    def call_op(self, values):
        if len(values[0]) == 3:
            raise ValueError("three is too few")
        return negate(*values)


if __name__ == "__main__":
    op_perf = performance_metrics()
    op_perf.get_input_tensors()
    op_perf.get_do_bench_config(warmup=100, rep=1000)
    op_perf.run_benchmark()
