"""Spares garbage collection what it looks at in vain: to look at all that a process holds takes a tenth of a second."""

import contextlib
import gc
from collections.abc import Iterator


@contextlib.contextmanager
def uncollected() -> Iterator[None]:
    """Collect nothing inside; whoever had it off before keeps it off."""
    before = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if before:
            gc.enable()


@contextlib.contextmanager
def settled() -> Iterator[None]:
    """Leave what is here already out of every collection inside; whoever froze something before keeps it frozen."""
    if gc.get_freeze_count():
        yield
        return
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
