"""Says which honest implementations a turned task can have: those of its reference's own that give the same results."""

from dataclasses import replace
from typing import Any

import torch

from fitness import yardstick
from suites import Task
from suites.foreign.text import Parts
from suites.loading import functions
from suites.trials import draw, trials

NEAR = {torch.float64: 1e-4, torch.float32: 1e-3}  # of the largest number: beyond it something else was computed
NEAR_ELSE = 3e-2
WORDS = {
    "in_float64": "in float64",
    "in_smaller_blocks": "with blocks of half the size",
    "plainly": "without the vendor's libraries",
    "laid_out_otherwise": "on tensors laid out otherwise",
}
NARROW = "; it refuses float64, so truth is its own rounding"


def banked(parts: Parts, task: Task) -> Parts:
    """Keep the honest implementations that work and compute the same, and say in the task which these are."""
    own = functions(task)
    values = draw(trials(task, task.cases[0], small=True)[0], 0)
    reference = yardstick.outputs(own.reference(*_copies(values)))
    kept = {name: parts.honest[name] for name, function in own.honest if _alike(function, values, reference)}
    if "in_float64" in kept and not _wide(own.reference):
        del kept["in_float64"]
    told = f"Its limits come of the reference {', '.join(['as it is', *(WORDS[name] for name in kept)])}"
    told += NARROW if "in_float64" in parts.honest and "in_float64" not in kept else ""
    return replace(parts, honest=kept, about=f"{parts.about.rstrip()}\n\n{told}.")


def _alike(function: Any, values: Any, reference: list[torch.Tensor]) -> bool:
    """Say whether an implementation gives what the reference gives, but for its roundings."""
    try:
        made = yardstick.outputs(function(*_copies(values)))
    except Exception:  # noqa: BLE001  whatever it raises, it is no implementation
        return False
    if [(m.shape, m.dtype) for m in made] != [(r.shape, r.dtype) for r in reference]:
        return False
    return all(_near(m, r) for m, r in zip(made, reference, strict=True))


def _near(made: torch.Tensor, reference: torch.Tensor) -> bool:
    if not reference.is_floating_point():
        return torch.equal(made, reference)
    if not reference.numel():
        return True
    right = torch.nan_to_num(reference.double())
    allowed = NEAR.get(reference.dtype, NEAR_ELSE) * (float(right.abs().max()) + 1e-30)
    return float((torch.nan_to_num(made.double()) - right).abs().max()) <= allowed


def _wide(reference: Any) -> bool:
    """Say whether a program took float64 when it was given that."""
    return not getattr(reference.__globals__["theirs"], "narrow", False)


def _copies(values: Any) -> list[Any]:
    return [yardstick.copied(v) for v in values.values()]
