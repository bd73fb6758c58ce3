"""Makes one run of two: all programs and verdicts of both, each program once, and all that was said to models."""

import itertools
import logging
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from archives.candidate import Candidate
from archives.events import Answered, Asked, Event, Extended, Judged, Learned, Measured, Proposed, Refused
from archives.journal import Journal
from evo_kernel import runs
from evo_kernel.calls import FILE, Calls
from evo_kernel.credit import Credit, joined
from evo_kernel.errors import RunError

logger = logging.getLogger(__name__)

TWICE = "merged: its program is that of another request, or none was made yet"


def merge(one: Path, other: Path, into: Path) -> runs.State:
    """Write the merged run and return it: it goes on as the first would, with the evaluations of both.

    Requests to models keep what they used, under new numbers.
    """
    first, second = runs.read(one), runs.read(other)
    _check(one, other, first, second)
    sources = (_Source(one), _Source(other))
    gathered = _Union().gather(sources)
    begun: list[tuple[Event, float]] = [(first.started, 0.0)]
    begun += [(event, 0.0) for event in _learned(first.search.credit, second.search.credit)]
    begun.append((_extended(first, second, sources[0].prices), 0.0))
    with Journal.create(into, begun + gathered) as journal:
        journal.spend(first.wall_seconds + second.wall_seconds)
    _merge_calls(sources, into)
    kept = asdict(first.search.limits)
    if left := [f"{n} {v}" for n, v in asdict(second.search.limits).items() if v not in (None, kept[n])]:
        logger.warning("limits of %s that the merged run does not have: %s", other, ", ".join(left))
    return runs.read(into)


def _check(one: Path, other: Path, first: runs.State, second: runs.State) -> None:
    """Refuse runs whose verdicts cannot stand side by side."""
    if one.samefile(other):
        raise RunError(f"{one} and {other} are the same run: name two")
    if first.task.digest != second.task.digest:
        raise RunError(f"{one} and {other} are runs of different tasks ({first.task.name}, {second.task.name})")
    ways = [_way(state) for state in (first, second)]
    if ways[0] != ways[1]:
        raise RunError(f"{one} and {other} were judged differently: {'; '.join(ways)}")


def _way(state: runs.State) -> str:
    """Say how a run judges its programs."""
    s = state.settings
    also = f" and also {', '.join(sorted(s.also))}" if s.also else ""
    return (
        f"target {s.target}{also}, seed {s.seed}, {s.basis} times, {s.mode} mode, for {', '.join(sorted(s.objectives))}"
    )


def _extended(first: runs.State, second: runs.State, prices: dict[str, dict[str, str]]) -> Extended:
    """Give the first run's populations the evaluations of both, and what it was given after it had begun."""
    population = first.search.population
    generations = -(-(first.search.budget + second.search.budget) // population)
    limits = {} if first.search.limits == first.settings.limits else asdict(first.search.limits)
    return Extended(generations, limits, prices)


def _learned(one: Credit, other: Credit) -> Iterator[Learned]:
    """Yield what either run was begun with of rewrites: what earlier runs knew, then what is shipped."""
    if earlier := joined(one, other):
        yield Learned(earlier)
    if shipped := one.shipped or other.shipped:
        yield Learned(shipped, True)


@dataclass(slots=True)
class _Source:
    """What a run's journal holds, by what became of it; `numbers` are the new ones of its requests."""

    folder: Path
    judged: list[tuple[Candidate, Judged, float]] = field(default_factory=list)
    pending: dict[int, Candidate] = field(default_factory=dict)
    letters: dict[int, list[Asked | Answered]] = field(default_factory=dict)
    refused: dict[int, Refused] = field(default_factory=dict)
    measured: list[tuple[Measured, float]] = field(default_factory=list)
    prices: dict[str, dict[str, str]] = field(default_factory=dict)  # of models, given since it began
    numbers: dict[int, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        with Journal.read(self.folder) as journal:
            for _, event, _, seconds in journal.rows():
                self._sort(event, seconds)

    def _sort(self, event: Event, seconds: float) -> None:
        if isinstance(event, Proposed):
            self.pending[event.number] = event.candidate
        elif isinstance(event, Judged):
            self.judged.append((self.pending.pop(event.number), event, seconds))
        elif isinstance(event, (Asked, Answered)):
            self.letters.setdefault(event.number, []).append(event)
        elif isinstance(event, Refused):
            self.refused[event.number] = event
        elif isinstance(event, Measured):
            self.measured.append((event, seconds))
        elif isinstance(event, Extended):
            self.prices |= event.prices


class _Union:
    """Gathers the events of several runs under numbers of its own."""

    def __init__(self) -> None:
        self._events: list[tuple[Event, float]] = []
        self._known: set[str] = set()  # fingerprints of programs
        self._next = itertools.count()

    def gather(self, sources: Sequence[_Source]) -> list[tuple[Event, float]]:
        """Return what the runs hold: verdicts, then programs that nobody has judged, then requests without one."""
        judged: set[str] = set()
        for source in sources:
            for candidate, verdict, seconds in source.judged:
                if self._propose(source, verdict.number, candidate):
                    judged.add(candidate.id)
                    self._events.append((replace(verdict, number=source.numbers[verdict.number]), seconds))
        for source in sources:
            for old, candidate in source.pending.items():
                self._propose(source, old, candidate)
        for source in sources:
            for old in sorted(source.letters.keys() - source.numbers.keys()):
                self._refuse(source, old)
            self._events += [(event, seconds) for event, seconds in source.measured if event.candidate in judged]
        return self._events

    def _propose(self, source: _Source, old: int, candidate: Candidate) -> bool:
        """Take a program with what was said to models about it, unless it is there already."""
        if candidate.fingerprint in self._known:
            return False
        self._known.add(candidate.fingerprint)
        self._events.append((Proposed(self._number(source, old), candidate), 0.0))
        return True

    def _refuse(self, source: _Source, old: int) -> None:
        """Take what was said to a model on a request that has no program here."""
        asked = source.letters[old][0]
        assert isinstance(asked, Asked), "a question comes before its answer"
        end = source.refused.get(old) or Refused(old, asked.operator, asked.parents, TWICE)
        self._events.append((replace(end, number=self._number(source, old)), 0.0))

    def _number(self, source: _Source, old: int) -> int:
        """Give a request its new number, and take what was said on it."""
        number = source.numbers[old] = next(self._next)
        self._events += [(replace(letter, number=number), 0.0) for letter in source.letters.get(old, ())]
        return number


def _merge_calls(sources: Sequence[_Source], into: Path) -> None:
    """Copy prompts, replies and what they cost: budgets and trajectories count them too."""
    found = [source for source in sources if (source.folder / FILE).is_file()]
    if not found:
        return
    calls = Calls(into)
    try:
        for source in found:
            calls.take(source.folder, source.numbers)
    finally:
        calls.close()
