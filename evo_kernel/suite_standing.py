"""Reads where each task of a suite run is from its run's journal, and why its search is over."""

from dataclasses import dataclass
from pathlib import Path

from evo_kernel import runs, stopping
from evo_kernel.runs import State
from evo_kernel.suite_folder import Member, SuiteRun, begun, run_of
from evo_kernel.suite_schedule import Standing

LEFT_OUT = "left_out.txt"  # in a task's folder: why it cannot be searched
SOLVED, HOPELESS, SETTLED, EXHAUSTED, ENDED, OPEN = "solved", "hopeless", "settled", "exhausted", "ended", "open"
WORDS = {
    SOLVED: "its best is as near to the roofline as was asked for",
    HOPELESS: "its seed fails, or it cannot be searched",
    SETTLED: "nothing improved for as long as was allowed",
    EXHAUSTED: "nothing new was within reach",
    ENDED: "a limit of its own was reached",
    OPEN: "the budget was spent before it was done",
}
_ENDS = {stopping.ROOFLINE: SOLVED, stopping.STAGNATION: SETTLED, stopping.EXHAUSTED: EXHAUSTED}


@dataclass(frozen=True, slots=True)
class Place:
    """One task's place in a suite run; `state` is None where no run has begun."""

    member: Member
    state: State | None
    why: str = ""  # it cannot be searched

    @property
    def status(self) -> str:
        """Say in a word how it stands."""
        if self.why:
            return HOPELESS
        if self.state is None:
            return OPEN
        if self.state.search.failed_seeds:
            return HOPELESS
        ended = self.state.search.ended
        return OPEN if ended is None else _ENDS.get(ended, ENDED)

    @property
    def drained(self) -> bool:
        """Whether its run has used all turns that it was given, or is over."""
        if self.state is None or self.state.search.failed_seeds:
            return True
        return self.state.search.done and not self.state.search.pending

    def standing(self, asked: SuiteRun) -> Standing:
        """Return what the schedule needs to know."""
        closed = self.status != OPEN
        if self.state is None:
            return Standing(closed=closed)
        search = self.state.search
        given = search.generations // int(asked.settings["generations"])
        used = -(-search.evaluations // asked.turn)  # what is over gives its unused turn back
        return Standing(used if closed else given, busy=not self.drained, closed=closed)


def read(folder: Path, member: Member) -> Place:
    """Read one task's place."""
    note = run_of(folder, member) / LEFT_OUT
    if note.is_file():
        return Place(member, None, note.read_text(encoding="utf-8").strip())
    return Place(member, runs.read(run_of(folder, member)) if begun(folder, member) else None)
