import torch


def inputs(n):
    return torch.randn(n, device="cuda")
