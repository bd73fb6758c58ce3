"""Which program a task's search hands in: what verdicts, times and held-out cases of a suite run are of."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from archives.candidate import Candidate
from archives.events import Event, Judged, Measured, Proposed
from archives.journal import Journal
from evo_kernel.search import GIVEN
from evo_kernel.suite import ours
from fitness.evaluation import Evaluation, Stage

RUNS = (Stage.CORRECTNESS, Stage.PREDICT, Stage.TIMING)  # a program that fails there has run


@dataclass(frozen=True, slots=True)
class Handed:
    """The program that a search hands in, and what our judge says of it. `own`: the search made it."""

    candidate: Candidate
    evaluation: Evaluation
    own: bool

    @property
    def right(self) -> bool | None:
        """What our judge says of its results."""
        return ours.right(self.evaluation)

    @property
    def success(self) -> bool:
        """Whether the search made it, and our judge passed it."""
        return self.own and self.evaluation.passed

    @property
    def why(self) -> str:
        """Why our judge refuses it; empty where it does not."""
        failure = self.evaluation.failure
        return "" if failure is None else f"{failure.stage}, {failure.kind}: {' '.join(failure.message.split())[:200]}"


def find(events: Iterable[Event], best: str | None) -> Handed | None:
    """Return what a search hands in: its best, else its fastest right program, else its newest that ran.

    A program that came with the task is handed in only where the search made none that ran.
    """
    proposed: dict[int, Candidate] = {}
    found: dict[str, Handed] = {}
    for event in events:
        if isinstance(event, Proposed):
            proposed[event.number] = event.candidate
        elif isinstance(event, Judged):
            made = proposed[event.number]
            found[made.id] = Handed(made, event.evaluation, made.operator not in GIVEN)
        elif isinstance(event, Measured) and event.candidate in found:
            before, after = found[event.candidate], event.evaluation
            if after.failure is not None or after.basis == before.evaluation.basis:  # else times of two bases would mix
                found[event.candidate] = Handed(before.candidate, after, before.own)
    own = [h for h in found.values() if h.own]
    if best in found and found[best].own:
        return found[best]
    if right := [h for h in own if h.evaluation.passed]:
        return min(right, key=lambda h: h.evaluation.score_us)
    ran = [h for h in own if h.evaluation.failure is not None and h.evaluation.failure.stage in RUNS]
    return ran[-1] if ran else next((h for h in found.values() if not h.own), None)


def of(run: Path, best: str | None) -> Handed | None:
    """Return what the search of a run hands in so far."""
    with Journal.read(run) as journal:
        return find(journal.events(), best)
