from kernelbenchx.Math.twice import twice
from performance_utils import Performance_Metrics

import torch


class performance_metrics(Performance_Metrics):
    def __init__(self):
        super().__init__("twice")

    def get_input_tensors(self):
        self.input_tensors = [[torch.randn(64)]]

    def to_cuda(self, given):
        return [v.cuda() for v in given]

    def call_op(self, values):
        return twice(values[0])
