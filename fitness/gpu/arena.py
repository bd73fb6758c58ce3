"""Where a plan's buffers lie in the bench's one allocation: bodies between red zones, set after set."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from fitness.plan import LaunchPlan

ALIGNMENT = 512  # as an allocator would; Triton's code is specialised for 16
GUARD = 4096  # bytes on both sides of every buffer that nothing may write
BEHIND = GUARD + ALIGNMENT  # so many behind: up to wherever the next begins, or a kernel could keep something there
GUARD_BYTE = 0x7F  # floats of it are so large that a result which reads one shows it
KEEP, HALF = -1, -2  # in the place of a poison: what was there, or that with half of the outputs lost
POISONS = (0xFF, 0x5B)  # every byte of memory nothing was written to: NaN or -1, then a large finite number


@dataclass(frozen=True, slots=True)
class Set:
    """One copy of a plan's buffers: the offset of each body, and of its red zones."""

    bodies: tuple[int, ...]
    guards: tuple[tuple[int, int], ...]  # offset, bytes
    end: int  # behind the last zone


def place(plan: LaunchPlan, start: int) -> Set:
    """Lay out one set from an offset on."""
    start = _up(start)
    plain = _laid(tuple(buffer.bytes for buffer in plan.buffers))
    return Set(
        tuple([body + start for body in plain.bodies]),
        tuple([(offset + start, size) for offset, size in plain.guards]),
        plain.end + start,
    )


@lru_cache(maxsize=1024)
def _laid(sizes: tuple[int, ...]) -> Set:
    """Lay out buffers from 0 on: a program is timed on hundreds of sets."""
    bodies, guards, start = [], [], 0
    for size in sizes:
        body = _up(start + GUARD)
        after = body + size
        guards += [(body - GUARD, GUARD), (after, BEHIND)]
        bodies.append(body)
        start = after + GUARD
    return Set(tuple(bodies), tuple(guards), _up(start) + ALIGNMENT)


def size(plan: LaunchPlan) -> int:
    """Return the bytes of one set."""
    return place(plan, 0).end


def between(taken: Iterable[tuple[int, int]], start: int, end: int) -> list[tuple[int, int]]:
    """Return what lies between stretches in a range, each as its offset and its bytes."""
    found = []
    for offset, size in (*sorted(taken), (end, 0)):
        if offset > start:
            found.append((start, min(offset, end) - start))
        start = max(start, offset + size)
    return [(offset, size) for offset, size in found if size > 0]


def _up(offset: int) -> int:
    return -(-offset // ALIGNMENT) * ALIGNMENT
