"""Programs that are timed beside each other: what is asked for, how it is laid out, and what it took."""

import statistics
from dataclasses import dataclass
from typing import Any

from fitness.gpu import arena, clock
from fitness.gpu.arena import Set
from fitness.gpu.hearing import Program


@dataclass(frozen=True, slots=True)
class Heat:
    """Programs that are to be timed beside each other on one case; the first is on trial.

    With `again` the same graphs then run once more on inputs of which one element changed, and are looked at: by then a
    program has seen the same data often enough to be answering from memory.
    """

    case: str
    programs: tuple[Program, ...]
    estimates: tuple[float, ...]
    pairs: int
    again: str | None = None
    told: bool = False  # whether anybody is told what it shows; else it chooses what is worth more time


@dataclass(frozen=True, slots=True)
class Clocked:
    """What a heat took: microseconds of every program by cycle and group of sets, and the anchor's by cycle.

    `held` says for each cycle what held the device's clocks down, if anything did.
    """

    samples: list[Any]
    anchors: list[Any]
    held: list[str]

    @property
    def kept(self) -> list[bool]:
        """Tell for each cycle whether the device's clocks stood still, of memory and of the units."""
        return [ok and not why for ok, why in zip(clock.steady(self.anchors), self.held, strict=True)]

    @property
    def settled(self) -> bool:
        """Whether the clocks stood still in any cycle."""
        return any(self.kept)

    def times(self) -> list[list[float]]:
        """Return every program's times, paired, of the cycles that are kept, or of all where none is.

        A time is the geometric mean over as many groups of sets as there are programs: each was on each of them once,
        and each had one of them in every round. So neither what a place is worth nor a round that was slower as a
        whole is in a ratio; a pair on one group alone would hold the difference of two rounds.
        """
        kept = self.kept if self.settled else [True] * len(self.samples[0])
        return [
            [
                statistics.geometric_mean(cycle[first : first + len(self.samples)])
                for cycle, ok in zip(cycles, kept, strict=True)
                if ok
                for first in range(0, len(cycle), len(self.samples))
            ]
            for cycles in self.samples
        ]


@dataclass(frozen=True, slots=True)
class Track:
    """A heat laid out: the sets of every program, how many replays make one timed item, and how many cycles run."""

    heat: Heat
    names: tuple[str, ...]
    sets: list[list[Set]]
    batch: int
    cycles: int
    seconds: float


def near(track: Track, watched: int) -> list[Any]:
    """Return what is no program's among the buffers of one set, as red zones."""
    places = [own[watched] for own in track.sets]
    bodies = [
        (offset, buffer.bytes)
        for place, program in zip(places, track.heat.programs, strict=True)
        for offset, buffer in zip(place.bodies, program.plan.buffers, strict=True)
    ]
    start, end = min(p.guards[0][0] for p in places), max(p.end for p in places)
    return [[offset, size, "its buffers, near them"] for offset, size in arena.between(bodies, start, end)]
