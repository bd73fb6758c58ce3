import a_package_that_nobody_has
import torch.nn as nn


class Model(nn.Module):
    pass


def get_inputs():
    return []


def get_init_inputs():
    return []
