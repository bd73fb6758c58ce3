"""Makes one run of two: all programs and verdicts of both, each program once, and all that was said to models."""

import itertools
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from archives.candidate import Candidate
from archives.events import Answered, Asked, Event, Extended, Judged, Measured, Proposed, Refused
from archives.journal import Journal
from evo_kernel import runs
from evo_kernel.calls import FILE, Calls
from evo_kernel.errors import RunError

TWICE = "merged: its program is that of another request, or it had no verdict yet"


def merge(one: Path, other: Path, into: Path) -> runs.State:
    """Write the merged run and return it. Requests to models keep what they used, under new numbers."""
    first, second = runs.read(one), runs.read(other)
    _check(one, other, first, second)
    union = _Union()
    folders = (one,) if one.resolve() == other.resolve() else (one, other)
    numbers = [union.take(folder) for folder in folders]
    union.events += [(e, s) for folder in folders for e, s in _measurements(folder) if e.candidate in union.kept]
    generations = first.settings.generations + second.settings.generations
    begun: list[tuple[Event, float]] = [(first.started, 0.0), (Extended(generations), 0.0)]
    with Journal.create(into, begun + union.events) as journal:
        journal.spend(first.wall_seconds + second.wall_seconds)
    _merge_calls(folders, numbers, into)
    return runs.read(into)


def _check(one: Path, other: Path, first: runs.State, second: runs.State) -> None:
    """Refuse runs whose verdicts cannot stand side by side."""
    if first.task.digest != second.task.digest:
        raise RunError(f"{one} and {other} are runs of different tasks ({first.task.name}, {second.task.name})")
    ways = [
        f"target {s.settings.target}, seed {s.settings.seed}, {s.settings.basis} times" for s in (first, second)
    ]  # fmt: skip
    if ways[0] != ways[1]:
        raise RunError(f"{one} and {other} were judged differently: {'; '.join(ways)}")


class _Union:
    """Gathers the events of several runs under numbers of its own."""

    def __init__(self) -> None:
        self.events: list[tuple[Event, float]] = []
        self.kept: set[str] = set()  # ids of programs
        self._known: set[str] = set()  # their fingerprints
        self._next = itertools.count()

    def take(self, folder: Path) -> dict[int, int]:
        """Take what is new of a run; return the new number of each request that asked a model."""
        with Journal.read(folder) as journal:
            rows = [(event, seconds) for _, event, _, seconds in journal.rows()]
        letters: dict[int, list[Asked | Answered]] = {}
        ends: dict[int, Refused] = {}
        for event, _ in rows:
            if isinstance(event, (Asked, Answered)):
                letters.setdefault(event.number, []).append(event)
            elif isinstance(event, Refused):
                ends[event.number] = event
        numbers: dict[int, int] = {}
        for candidate, verdict, seconds in _verdicts(rows):
            if candidate.fingerprint not in self._known:
                self._known.add(candidate.fingerprint)
                self.kept.add(candidate.id)
                number = numbers[verdict.number] = next(self._next)
                self._letters(letters.get(verdict.number, ()), number)
                self.events += [(Proposed(number, candidate), 0.0), (replace(verdict, number=number), seconds)]
        for old in letters.keys() - numbers.keys():
            number = numbers[old] = next(self._next)
            self._letters(letters[old], number)
            asked = letters[old][0]
            assert isinstance(asked, Asked), "a question comes before its answer"
            end = ends.get(old) or Refused(old, asked.operator, asked.parents, TWICE)
            self.events.append((replace(end, number=number), 0.0))
        return {old: new for old, new in numbers.items() if old in letters}

    def _letters(self, letters: Iterable[Asked | Answered], number: int) -> None:
        self.events += [(replace(letter, number=number), 0.0) for letter in letters]


def _verdicts(rows: Iterable[tuple[Event, float]]) -> Iterable[tuple[Candidate, Judged, float]]:
    """Yield each judged program of a run with its verdict and cost."""
    pending: dict[int, Candidate] = {}
    for event, seconds in rows:
        if isinstance(event, Proposed):
            pending[event.number] = event.candidate
        elif isinstance(event, Judged):
            yield pending.pop(event.number), event, seconds


def _measurements(folder: Path) -> list[tuple[Measured, float]]:
    """Return what was measured of a run after it was judged, with its cost."""
    with Journal.read(folder) as journal:
        return [(event, seconds) for _, event, _, seconds in journal.rows() if isinstance(event, Measured)]


def _merge_calls(folders: Iterable[Path], numbers: Iterable[dict[int, int]], into: Path) -> None:
    """Copy prompts, replies and what they cost: budgets and trajectories count them too."""
    found = [(folder, new) for folder, new in zip(folders, numbers, strict=True) if (folder / FILE).is_file()]
    if not found:
        return
    calls = Calls(into)
    try:
        for folder, new in found:
            calls.take(folder, new)
    finally:
        calls.close()
