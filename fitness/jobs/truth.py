"""Runs a task's own reference: inputs, the float64 truth, and the errors honest arithmetic makes.

Trusted code only: no candidate runs in a child that computes this, and no candidate's child ever holds it.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch

from fitness.child import Report
from suites import inputs as drawing
from suites.loading import reference
from suites.task import ITEM_BYTES, unpack, unpack_arguments

PERTURBATIONS = 2  # independent draws of rounded inputs


def truth(payload: Any, report: Report) -> Any:
    """Return, for one case: input bytes, and for every output its schema, truth and honest errors."""
    report.stage("truth")
    torch.set_num_threads(1)
    function = reference(unpack(payload["task"]))
    arguments = drawing.draw(unpack_arguments(payload["arguments"]), payload["seed"], payload["case"])
    exact = _outputs(function(*[_lift(a) for a in arguments.values()]))
    eager = _outputs(function(*[_copy(a) for a in arguments.values()]))
    if len(exact) != len(eager):
        raise ValueError("the reference gives another number of outputs in float64")
    bank = [[_error(e, x) for e, x in zip(eager, exact, strict=True)]]
    bank += _perturbed(function, arguments, exact, payload["seed"])
    outputs = []
    for number, (low, high) in enumerate(zip(eager, exact, strict=True)):
        name = str(low.dtype).removeprefix("torch.")
        if name not in ITEM_BYTES:
            raise ValueError(f"the reference returns {name}, which cannot be judged yet")
        errors = np.stack([member[number] for member in bank])
        outputs.append([name, list(low.shape), _double(high).tobytes(), errors.tobytes()])
    return [[name, _bytes(v)] for name, v in arguments.items() if isinstance(v, torch.Tensor)], outputs


def _perturbed(
    function: Callable[..., Any], arguments: Mapping[str, Any], exact: list[torch.Tensor], seed: int
) -> list[list[np.ndarray]]:
    """Return the errors of exact arithmetic on inputs that carry one float32 rounding each.

    A backward-stable kernel with float32 accumulation errs by a small multiple of this, however ill-conditioned
    the operation is at these inputs; the eager implementation alone is one sample, and a lucky one at times.
    """
    rng = np.random.default_rng([seed, 7])
    members = []
    for _ in range(PERTURBATIONS):
        moved = []
        for value in arguments.values():
            lifted = _lift(value)
            if isinstance(lifted, torch.Tensor) and lifted.dtype == torch.float64:
                noise = torch.from_numpy(rng.uniform(-1, 1, tuple(lifted.shape)) * 2.0**-22)
                lifted = lifted * (1 + noise)
            moved.append(lifted)
        members.append([_error(m, x) for m, x in zip(_outputs(function(*moved)), exact, strict=True)])
    return members


def _outputs(value: Any) -> list[torch.Tensor]:
    outputs = list(value) if isinstance(value, (tuple, list)) else [value]
    if not outputs or not all(isinstance(o, torch.Tensor) for o in outputs):
        raise ValueError("the reference must return a tensor or a tuple of tensors")
    return outputs


def _lift(value: Any) -> Any:
    """Return floating tensors in float64; the values are those the dtype could hold."""
    return value.double() if isinstance(value, torch.Tensor) and value.is_floating_point() else _copy(value)


def _copy(value: Any) -> Any:
    return value.clone() if isinstance(value, torch.Tensor) else value


def _error(output: torch.Tensor, exact: torch.Tensor) -> np.ndarray:
    """Return signed errors; where both are the same infinity or both NaN there is none."""
    one, other = _double(output), _double(exact)
    with np.errstate(invalid="ignore"):
        difference = one - other
    difference[(one == other) | (np.isnan(one) & np.isnan(other))] = 0.0
    return difference


def _double(tensor: torch.Tensor) -> np.ndarray:
    array: np.ndarray = tensor.detach().to(torch.float64).contiguous().numpy()
    return array


def _bytes(tensor: torch.Tensor) -> bytes:
    """Return a tensor's storage in memory order."""
    order = sorted(range(tensor.dim()), key=lambda d: (-tensor.stride(d), d))
    stored = tensor.permute(order).contiguous()
    return stored.reshape(-1).view(torch.uint8).numpy().tobytes() if stored.numel() else b""
