import torch
import torch.nn as nn


class Model(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.width = width

    def forward(self, x, shift):
        return torch.softmax(x + shift, dim=1) * self.width


rows = 16777216
width = 1024


def get_inputs():
    return [torch.rand(rows, width), torch.rand(width)]


def get_init_inputs():
    return [width]
