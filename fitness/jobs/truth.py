"""Runs a task's own functions: for every trial the inputs as bytes, and the yardsticks that outputs are judged by.

Trusted code only: no candidate runs in a child that computes this, and no candidate's child ever holds it.
"""

from typing import Any

import torch

from fitness import tolerance, yardstick
from fitness.child import Report
from fitness.jobs import devices
from suites.loading import functions
from suites.task import Input, unpack, unpack_arguments
from suites.trials import Trial, draw


def truth(payload: Any, report: Report) -> Any:
    """Return input bytes and packed yardsticks for each trial."""
    torch.set_num_threads(1)
    device = payload.get("device", "cpu")
    if device != "cpu":
        devices.choose(payload["visible"])
        matmul = torch.backends.cuda.matmul  # as the referee's: the bank must not be less exact than a CPU's
        matmul.allow_tf32 = False
        matmul.allow_fp16_reduced_precision_reduction = False
        matmul.allow_bf16_reduced_precision_reduction = False
    task = unpack(payload["task"])
    own = functions(task)
    made = []
    for name, case, arguments, *must in payload["trials"]:
        report.stage(f"truth:{case}")
        trial = Trial(name, case, unpack_arguments(arguments), *must)
        values = draw(trial, payload["seed"], device)
        yardsticks = yardstick.compute(own, values, trial, device, payload["seed"])
        inputs = [[key, storage(values[key], spec)] for key, spec in trial.arguments.items() if isinstance(spec, Input)]
        made.append([inputs, [tolerance.pack(yardstick.on_host(y)) for y in yardsticks]])
    return made


def storage(tensor: Any, spec: Input) -> bytes:
    """Return a tensor's memory as bytes, padding included."""
    size = 1
    for n in spec.stored:
        size *= n
    flat = tensor.as_strided((size,), (1,))
    return flat.contiguous().view(torch.uint8).cpu().numpy().tobytes() if size else b""
