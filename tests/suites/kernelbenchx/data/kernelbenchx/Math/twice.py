import torch


def twice(x):
    return 2 * x


##################################################################################################################################################
import os
import sys

import torch

sys.path.append(os.path.abspath("utils"))
from own_inputs import inputs


def test_twice():
    return {"even": twice(inputs(6)), "flag": [bool((twice(inputs(3)) != 0).all())]}


test_results = test_twice()
