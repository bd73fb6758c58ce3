"""Finds other sizes at which a module still works: small ones for the interpreter, and odd ones to be held out.

Every try is made on tensors that hold nothing, which takes milliseconds at any size.
"""

import contextlib
import math
import time
from dataclasses import dataclass

import torch
from torch.utils.flop_counter import FlopCounterMode

from suites.foreign.sizes import LEAST, Sizes, module, stated

ELEMENTS, FLOPS = 1 << 15, 1 << 22  # that the interpreter can work on in about a second
SECONDS = 20.0  # for one search; what is found by then is taken


@dataclass(frozen=True, slots=True)
class Work:
    """What one call works on: numbers read and written, and the operations of its products by operator."""

    elements: int
    flops: int

    @property
    def fits(self) -> bool:
        """Whether the interpreter can do it."""
        return self.elements <= ELEMENTS and self.flops <= FLOPS


def work(source: str, sizes: Sizes, count: bool = False) -> Work | None:
    """Return a module's work at some sizes; None where it does not work at them.

    Counting operations takes long where a module has thousands of steps: only where it is asked for, or what is small.
    """
    try:
        counting = FlopCounterMode(display=False) if count else contextlib.nullcontext()
        with torch.device("meta"), torch.no_grad(), counting as counter:
            theirs = module(source, sizes)
            model = theirs.Model(*theirs.get_init_inputs())
            given = theirs.get_inputs()
            made = model(*given)
    except Exception:  # noqa: BLE001  whatever it raises, it does not work at these sizes
        return None
    results = made if isinstance(made, (tuple, list)) else (made,)
    tensors = [t for t in (*given, *model.parameters(), *results) if isinstance(t, torch.Tensor)]
    if any(t.numel() == 0 for t in tensors):
        return None
    elements = sum(t.numel() for t in tensors)
    if counter is None and elements <= ELEMENTS:
        return work(source, sizes, count=True)
    return Work(elements, 0 if counter is None else int(counter.get_total_flops()))


def shrunk(source: str) -> dict[int, int]:
    """Return sizes at which the interpreter can run it, or the least that were found; the largest is halved first."""
    sizes, frozen, deadline = stated(source), set[int](), time.monotonic() + SECONDS
    now = work(source, sizes)
    while now is not None and not now.fits and time.monotonic() < deadline:
        free = [place for place in sizes if place not in frozen and sizes[place] >= LEAST]
        if not free:
            break
        place = max(free, key=lambda p: sizes[p])
        for tried in _together(sizes, place, sizes[place] // 2):
            then = work(source, tried)
            if then is not None and then != now:
                sizes, now = tried, then
                break
        else:
            frozen.add(place)
    return sizes


def varied(source: str, sizes: Sizes, share: float, more: int) -> dict[int, int]:
    """Return sizes changed to this share and so many more, as far as it works at them."""
    found, deadline = dict(sizes), time.monotonic() + SECONDS
    for place in sorted(sizes, key=lambda p: -sizes[p]):
        if found[place] != sizes[place] or sizes[place] < LEAST or time.monotonic() > deadline:
            continue
        wanted = max(2, math.floor(sizes[place] * share) + more)
        for tried in _together(found, place, wanted):
            if work(source, tried) is not None:
                found = tried
                break
    return found


def _together(sizes: Sizes, place: int, wanted: int) -> list[dict[int, int]]:
    """Return sizes with one changed, and with all that equal it changed: a size may be written twice."""
    same = {p: wanted for p, value in sizes.items() if value == sizes[place]}
    alone = {**sizes, place: wanted}
    return [alone] if len(same) == 1 else [alone, {**sizes, **same}]
