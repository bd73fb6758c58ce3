"""Puts garbage collection off for a while: to look at all that a process holds takes a tenth of a second at times."""

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
