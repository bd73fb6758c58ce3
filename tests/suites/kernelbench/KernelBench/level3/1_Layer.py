import torch
import torch.nn as nn


class Model(nn.Module):
    def __init__(self, width, out, rate):
        super().__init__()
        self.linear = nn.Linear(width, out)
        self.unused = nn.Parameter(torch.ones(3))
        self.dropout = nn.Dropout(rate)

    def forward(self, x, gain):
        return self.dropout(torch.tanh(self.linear(x))) * gain


rows = 512
width = 64
out = 48
rate = 0.0


def get_inputs():
    return [torch.rand(rows, width), torch.rand(out) + 1]


def get_init_inputs():
    return [width, out, rate]
