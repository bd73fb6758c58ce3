"""Shares what a suite run may spend on models and GPUs among its turns, as evaluations are shared.

Every turn brings its part, and what a turn leaves is kept for the same task's next one. So the parts of all turns
together never exceed the whole, and none of them depends on which search happened to end first.
"""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from evo_kernel.config import Settings
from evo_kernel.errors import RunError
from operators.llm.model import PICO
from operators.llm.settings import pico

COUNTED = ("max_tokens", "max_calls")


def limits(settings: Settings, given: int, turns: int) -> dict[str, Any]:
    """Return what a task may have spent in all after so many of all turns; only what has a limit is named."""
    found: dict[str, Any] = {}
    for name in COUNTED:
        if (whole := getattr(settings, name)) is not None:
            found[name] = whole * given // turns
    if settings.max_cost is not None:
        found["max_cost"] = f"{Decimal(pico(settings.max_cost) * given // turns) / PICO:f}"
    if settings.max_gpu_seconds is not None:
        found["max_gpu_seconds"] = settings.max_gpu_seconds * given / turns
    return found


def require(settings: Settings, turns: int) -> None:
    """Refuse limits of which a turn would get nothing."""
    words: Mapping[str, str] = {"max_tokens": "tokens", "max_calls": "calls", "max_cost": "dollars"}
    for name, part in limits(settings, 1, turns).items():
        if name in words and not Decimal(part):
            raise RunError(
                f"{getattr(settings, name)} {words[name]} are nothing for each of {turns} turns: give more, a smaller "
                "--budget, or more --generations to a turn"
            )
