import torch
import torch.nn as nn


class Model(nn.Module):
    def forward(self, x):
        return torch.relu(x)


def get_inputs():
    return [torch.rand(1 << 20, 1 << 20)]


def get_init_inputs():
    return []
