"""Runs a reference of somebody else's once more, under another seed or on other memory, to see what it depends on."""

from collections.abc import Callable
from typing import Any

import torch

AGAIN = 0.25  # of the time allowed that a reference may have taken to be run again


def varies(make: Callable[[str], Any], same: Callable[[Any], bool]) -> bool | None:
    """Say whether another seed gives other results by their comparison; None where that is not known.

    Seeds that the test sets itself are changed too.
    """
    plant = torch.manual_seed
    torch.manual_seed = lambda seed: plant(int(seed) + 1)
    try:
        other = make("reseeded")
    except (Exception, SystemExit):  # noqa: BLE001  what a test does under another seed is its own affair
        return None
    finally:
        torch.manual_seed = plant
    return not same(other)


def repeats(make: Callable[[str], Any], same: Callable[[Any], bool]) -> bool | None:
    """Say whether results are the same where memory that nobody wrote holds NaN; None where that is not known.

    Torch fills it so where it is to be deterministic: a result that is not the same holds what no program computed.
    """
    torch._C._set_deterministic_algorithms(True, warn_only=True)  # the public name imports inductor too: seconds
    try:
        other = make("poisoned")
    except (Exception, SystemExit):  # noqa: BLE001  what a test does on other memory is its own affair
        return None
    finally:
        torch._C._set_deterministic_algorithms(False)
    return same(other)
