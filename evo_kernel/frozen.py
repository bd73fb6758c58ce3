"""Keeps the limits that a run's verdicts rest on in its folder, so that no threshold moves during a search.

A worker tells the limits of the trials it has computed once; the first to do so sets them, and everyone after it,
on this machine or another, today or when the run is resumed, must come to the same within 1%.
"""

import os
from pathlib import Path

import msgpack

from evo_kernel.errors import RunError
from fitness.correctness import Limits, moved

FILE = "yardsticks.msgpack"
FORMAT = 1


def hold(folder: Path, limits: Limits) -> None:
    """Compare limits with those the run began with; keep what is new among them."""
    kept = read(folder)
    complaint = moved(kept, limits)
    if complaint is not None:
        raise RunError(f"{complaint}; begin another run here, or resume this one where it began")
    if not limits.keys() <= kept.keys():
        scratch = folder / f"{FILE}.new"
        scratch.write_bytes(msgpack.packb([FORMAT, {**limits, **kept}]))
        os.replace(scratch, folder / FILE)


def release(folder: Path) -> None:
    """Forget the limits of a run whose secret is gone: no judge can come to the same again."""
    (folder / FILE).unlink(missing_ok=True)


def read(folder: Path) -> Limits:
    """Return the limits a run holds; none before its first verdict."""
    path = folder / FILE
    if not path.exists():
        return {}
    try:
        version, limits = msgpack.unpackb(path.read_bytes())
        if version != FORMAT:
            raise ValueError(f"format {version} is not {FORMAT}")
        return {str(name): tuple(float(f) for f in figures) for name, figures in limits.items()}
    except (ValueError, TypeError, AttributeError, OSError) as error:
        raise RunError(f"{path} cannot be read: {error}; restore it, or begin another run") from error
