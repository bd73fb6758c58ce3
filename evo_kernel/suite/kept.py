"""Reads the small files that are kept beside a task's run: what is damaged is named, and never taken for a verdict."""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from evo_kernel.errors import RunError
from fitness.words import clean

T = TypeVar("T")


def read(file: Path, made: Callable[[Any], T], advice: str) -> T | None:
    """Return what `made` makes of a file; None where there is none, RunError with what to do where it is damaged."""
    try:
        return made(json.loads(file.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        told = " ".join(clean(str(error)).split())
        raise RunError(f"{file.name} is damaged, run the suite again to {advice}: {told}") from error


def whole(read: Callable[[Path], T | None], run: Path) -> T | None:
    """Return what is kept beside a run; None also where it is damaged, so that it is asked again."""
    try:
        return read(run)
    except RunError:
        return None


def damage(run: Path, *reads: Callable[[Path], object]) -> str:
    """Say what is wrong with files beside a run; empty where nothing is."""
    told = []
    for one in reads:
        try:
            one(run)
        except RunError as error:
            told.append(str(error))
    return "; ".join(told)


def words(value: Any) -> str:
    """Return what is a text that can be written."""
    if not isinstance(value, str):
        raise TypeError(f"a text was expected, not {type(value).__name__}")
    value.encode()  # half of a surrogate pair cannot be, and a report is to hold it
    return value


def flag(value: Any) -> bool:
    """Return what is true or false."""
    if not isinstance(value, bool):
        raise TypeError(f"true or false was expected, not {type(value).__name__}")
    return value


def microseconds(value: Any) -> float:
    """Return what can be a time."""
    if type(value) not in (int, float):
        raise TypeError(f"a time was expected, not {type(value).__name__}")
    if not (math.isfinite(value) and value > 0):
        raise ValueError(f"a time is finite and positive; got {value}")
    return float(value)
