"""Finds other sizes at which a module still works: smaller ones for a processor, and odd ones to be held out.

Every try is made on tensors that hold nothing, which takes milliseconds at any size.
"""

import contextlib
import math
import time
from collections.abc import Collection
from dataclasses import dataclass

import torch
from torch.utils.flop_counter import FlopCounterMode

from suites.foreign.sizes import LEAST, Sizes, module, stated

ELEMENTS, FLOPS = 1 << 15, 1 << 22  # that the interpreter can work on in about a second
SECONDS = 20.0  # of the processor, for one search; what is found by then is taken, however busy the machine is


@dataclass(frozen=True, slots=True)
class Work:
    """What one call works on: numbers read and written, and the operations of its products by operator."""

    elements: int
    flops: int
    bytes: int = 0  # of these numbers

    def within(self, most: "Work") -> bool:
        """Whether it is no more than this."""
        return self.elements <= most.elements and self.flops <= most.flops


SMALL = Work(ELEMENTS, FLOPS)


def work(source: str, sizes: Sizes, count: bool = False, most: Work = SMALL) -> Work | None:
    """Return a module's work at some sizes; None where it does not work at them.

    Counting operations takes long where a module has thousands of steps: only where it is asked for, or its numbers are
    no more than the most.
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
    if counter is None and elements <= most.elements:
        return work(source, sizes, count=True)
    flops = 0 if counter is None else int(counter.get_total_flops())
    return Work(elements, flops, sum(t.numel() * t.element_size() for t in tensors))


def shrunk(source: str, most: Work = SMALL, first: Collection[int] = (), together: bool = False) -> dict[int, int]:
    """Return sizes at which a module's work is no more than the most, or the least that were found.

    The largest is halved first, and before any other those at the places named; with the equal ones that stand
    elsewhere where it does not work alone, or, `together`, wherever it works so.
    """
    sizes, frozen, deadline = stated(source), set[int](), time.process_time() + SECONDS
    now = work(source, sizes, most=most)
    while now is not None and not now.within(most) and time.process_time() < deadline:
        free = [place for place in sizes if place not in frozen and sizes[place] >= LEAST]
        if not free:
            break
        place = max(free, key=lambda p: (p in first, sizes[p]))
        for tried in _together(sizes, place, sizes[place] // 2)[:: -1 if together else 1]:
            then = work(source, tried, most=most)
            if then is not None and then != now:
                sizes, now = tried, then
                break
        else:
            frozen.add(place)
    return sizes


def rows(source: str) -> frozenset[int]:
    """Return the places of sizes that say how many rows inputs have, of which a result's magnitude depends least.

    Of two sizes in one file these are the ones that change the first dimension of inputs and nothing else.
    """
    sizes = stated(source)
    before = _shapes(source, sizes)
    return frozenset(p for p, n in sizes.items() if _fewer(before, _shapes(source, {**sizes, p: n // 2})))


_Shapes = tuple[list[tuple[int, ...]], list[tuple[int, ...]]]  # of inputs, and of parameters and buffers


def _shapes(source: str, sizes: Sizes) -> _Shapes | None:
    try:
        with torch.device("meta"), torch.no_grad():
            theirs = module(source, sizes)
            model = theirs.Model(*theirs.get_init_inputs())
            given = [tuple(v.shape) for v in theirs.get_inputs() if isinstance(v, torch.Tensor)]
            return given, [tuple(v.shape) for v in (*model.parameters(), *model.buffers())]
    except Exception:  # noqa: BLE001  whatever it raises, it does not work at these sizes
        return None


def _fewer(before: _Shapes | None, after: _Shapes | None) -> bool:
    """Say whether inputs have fewer rows, and all else is as before."""
    if before is None or after is None or before[1] != after[1] or len(before[0]) != len(after[0]):
        return False
    pairs = [(b, a) for b, a in zip(before[0], after[0], strict=True) if b != a]
    return bool(pairs) and all(b[1:] == a[1:] and len(b) == len(a) for b, a in pairs)


def varied(source: str, sizes: Sizes, share: float, more: int) -> dict[int, int]:
    """Return sizes changed to this share and so many more, as far as it works at them."""
    found, deadline = dict(sizes), time.process_time() + SECONDS
    for place in sorted(sizes, key=lambda p: -sizes[p]):
        if found[place] != sizes[place] or sizes[place] < LEAST or time.process_time() > deadline:
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
