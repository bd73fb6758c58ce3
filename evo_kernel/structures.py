"""What is known of each structure: its programs' times for the tuner, and which new ones deserve a trial.

A structure is a program without its tunable numbers. Judging a new one by its first program alone would judge the
numbers that came with it, so with `trials` one that passed is tuned for a few evaluations first, as long as it is near
the run's best; one that is not is given up. A trial ends too when the tuner finds nothing new in its structure.
"""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

from archives.candidate import Candidate
from evo_kernel.rules import Rules
from operators.proposal import Observed

GAIN = 0.99  # a program gains for its structure below this factor of the best so far: more than a clock's noise
REMEMBERED = 400  # observations of one structure, and in one answer


@dataclass(slots=True)
class Known:
    """One structure's programs."""

    observed: deque[Observed] = field(default_factory=lambda: deque(maxlen=REMEMBERED))
    pending: dict[int, str] = field(default_factory=dict)
    kin: dict[str, None] = field(default_factory=dict)  # next to it in descent, in order of meeting
    tried: int = 0
    vain: int = 0  # of them, since the last that gained
    first: str | None = None  # the program that its trial began with
    best: str | None = None
    best_us: float = float("inf")


class Structures:
    """Knows every structure of a run by the hash that stands for it; the rules say who gets a trial, and how long."""

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._known: dict[str, Known] = {}
        self._young: dict[str, None] = {}  # structures on trial, oldest first

    def proposed(self, number: int, candidate: Candidate, parents: Iterable[str]) -> None:
        """Note a program that will be judged; `parents` are its parents' structures."""
        mine = self._of(candidate.structure)
        mine.pending[number] = candidate.source
        for other in parents:
            if other != candidate.structure:
                mine.kin[other] = None
                self._of(other).kin[candidate.structure] = None

    def judged(self, number: int, candidate: Candidate, time_us: float | None, best_us: float | None,
               held: bool = True) -> None:  # fmt: skip
        """Note a verdict; `best_us` is the run's best after it; `held`: whether the archive holds what passed.

        Known code under another name teaches its time, and is nothing that a trial could begin with.
        """
        mine = self._of(candidate.structure)
        mine.pending.pop(number, None)
        self._observe(mine, candidate, time_us)
        mine.tried += 1
        mine.vain = 0 if time_us is not None and held and time_us < GAIN * mine.best_us else mine.vain + 1
        if time_us is not None and held and mine.best is None:
            self._young[candidate.structure] = None
            mine.first = candidate.id
        if time_us is not None and held and time_us < mine.best_us:
            mine.best, mine.best_us = candidate.id, time_us
        if not self._promising(mine, best_us):
            self._young.pop(candidate.structure, None)

    def remeasured(self, candidate: Candidate, time_us: float | None) -> None:
        """Note what a device said of a program later; the newest word on a source counts."""
        mine = self._of(candidate.structure)
        self._observe(mine, candidate, time_us)
        if mine.best == candidate.id:
            mine.best, mine.best_us = (None, float("inf")) if time_us is None else (mine.best, time_us)
            self._young.pop(candidate.structure, None)

    def spent(self, structure: str) -> None:
        """Note that nothing new can be made of a structure: its trial is over."""
        self._young.pop(structure, None)

    def on_trial(self) -> str | None:
        """Return the fastest program of the structure with room for one more that has been on trial longest."""
        oldest = next(filter(self.room, self._young), None)
        return None if oldest is None else self.best(oldest)

    def young(self, structure: str) -> bool:
        """Tell whether a structure is on trial."""
        return structure in self._young

    def began(self, candidate: Candidate) -> bool:
        """Tell whether a program is the one that a trial began with, which is not over."""
        return self.young(candidate.structure) and self._known[candidate.structure].first == candidate.id

    def best(self, structure: str) -> str:
        """Return the fastest program of a structure on trial."""
        found = self._known[structure].best
        assert found is not None, "a structure is on trial when one of its programs has passed"
        return found

    def tuned(self, structure: str) -> tuple[int, float]:
        """Return how many programs of a structure were judged, and the time of its fastest."""
        known = self._known.get(structure, Known())
        return known.tried, known.best_us

    def room(self, structure: str) -> bool:
        """Tell whether one more program of a trial may be judged beside those that are."""
        known, rules = self._known[structure], self._rules
        asked = len(known.pending)
        return known.tried + asked < rules.trials and not 0 < rules.trial_patience <= known.vain + asked

    def relatives(self, structure: str) -> tuple[Observed, ...]:
        """Return what was observed of a structure, then of those next to it, the last REMEMBERED at most."""
        mine = self._known.get(structure, Known())
        found = list(mine.observed)
        for other in reversed(mine.kin):  # those met last first
            if len(found) >= REMEMBERED:
                break
            found += list(self._known[other].observed)[-(REMEMBERED - len(found)) :]
        return tuple(found)

    def pending(self, structure: str) -> tuple[str, ...]:
        """Return the sources of a structure that are being judged."""
        return tuple(self._known.get(structure, Known()).pending.values())

    def _of(self, structure: str) -> Known:
        if structure not in self._known:
            self._known[structure] = Known()
        return self._known[structure]

    def _promising(self, known: Known, best_us: float | None) -> bool:
        """Tell whether a structure should be tuned further before it is judged: it is young, and near the best."""
        rules = self._rules
        near = best_us is None or not rules.giving_up or known.best_us <= rules.giving_up * best_us
        helps = not 0 < rules.trial_patience <= known.vain
        return known.best is not None and known.tried < rules.trials and helps and near

    @staticmethod
    def _observe(known: Known, candidate: Candidate, time_us: float | None) -> None:
        known.observed.append(Observed(candidate.source, time_us, candidate.structure))
