"""Reads where each task of a suite run is from its run's journal, and why its search is over."""

from dataclasses import dataclass
from pathlib import Path

from archives.journal import FILE, JournalError
from evo_kernel import frozen, runs, stopping
from evo_kernel.errors import RunError
from evo_kernel.runs import State
from evo_kernel.suite.folder import EAGER, HELD_OUT, Member, SuiteRun, put, run_of
from evo_kernel.suite.schedule import Standing
from fitness.words import clean

LEFT_OUT = "left_out.txt"  # in a task's folder: why it cannot be searched
LEFT_ALONE = "left_alone.txt"  # there too: why the last run did not go on with it, which the next one tries again
BESIDE = (frozen.FILE, HELD_OUT, EAGER)  # what is written only where a run has begun
SOLVED, HOPELESS, SETTLED, EXHAUSTED, ENDED, OPEN = "solved", "hopeless", "settled", "exhausted", "ended", "open"
DAMAGED = "damaged"
WORDS = {
    SOLVED: "its best is as near to the roofline as was asked for",
    HOPELESS: "its seed fails, or it cannot be searched",
    SETTLED: "nothing improved for as long as was allowed",
    EXHAUSTED: "nothing new was within reach",
    ENDED: "a limit of its own was reached",
    OPEN: "the budget was spent before it was done, or it was left alone for a reason that is given",
    DAMAGED: "a file of its run cannot be read, is missing or belongs to another",
}
_ENDS = {stopping.ROOFLINE: SOLVED, stopping.STAGNATION: SETTLED, stopping.EXHAUSTED: EXHAUSTED}


@dataclass(frozen=True, slots=True)
class Place:
    """One task's place in a suite run; `state` is None where no run has begun, or what there is cannot be read."""

    member: Member
    state: State | None
    why: str = ""  # it cannot be searched, or gone on with
    damaged: bool = False
    alone: bool = False  # what is in the way is `why`, and nobody's verdict: the next run tries again

    @property
    def left_alone(self) -> str:
        """Say why it had no turn though it may have one; empty where that is not so."""
        if self.alone:
            return f"{self.member.name} was {self.in_the_way}"
        return f"{self.member.name} is damaged and was left alone: {self.why}" if self.damaged else ""

    @property
    def in_the_way(self) -> str:
        """Say why the last run did not go on with it, and what to do; empty where it did."""
        return f"left alone: {self.why}; run the suite again" if self.alone else ""

    @property
    def status(self) -> str:
        """Say in a word how it stands."""
        if self.why and not self.alone:
            return DAMAGED if self.damaged else HOPELESS
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
        """Return what the schedule needs to know; turns of what is damaged are kept for it, as for one not begun."""
        closed = self.status not in (OPEN, DAMAGED)
        if self.state is None:
            return Standing(closed=closed)
        search = self.state.search
        given = search.generations // int(asked.settings["generations"])
        used = -(-search.evaluations // asked.turn)  # what is over gives its unused turn back
        return Standing(used if closed else given, busy=not self.drained, closed=closed)


def read(folder: Path, member: Member, again: bool = False) -> Place:
    """Read one task's place; `again`: as one that is to be tried, whatever was in its way."""
    run = run_of(folder, member)
    try:
        if (why := _told(run / LEFT_OUT)) is not None:
            return Place(member, None, why)
        alone = "" if again else _told(run / LEFT_ALONE) or ""
        return Place(member, _state(run, member), alone, alone=bool(alone))
    except (JournalError, RunError) as error:
        return _damaged(member, run, str(error))


def _state(run: Path, member: Member) -> State | None:
    """Read a task's run; None where none has begun, RunError where what lies there is not what was written."""
    if not (run / FILE).exists():
        if found := [name for name in BESIDE if (run / name).exists()]:
            raise RunError(f"it has no {FILE}, and yet {found[0]}")
        return None
    state = runs.read(run)
    if member.name not in (state.task.name, state.task.name.partition("/")[2]):  # another suite's name stands before
        raise RunError(f"it is a search of {state.task.name}")
    return state


def leave_out(folder: Path, member: Member, why: str) -> Place:
    """Keep why a task cannot be searched, and return its place."""
    return _left(folder, member, LEFT_OUT, why)


def leave_alone(folder: Path, member: Member, why: str) -> Place:
    """Keep for the report why a task is not gone on with now, and return its place."""
    return _left(folder, member, LEFT_ALONE, why)


def tried(folder: Path, member: Member, of: str = "") -> Place:
    """Return the place of a task that was gone on with: what was in its way (that began with `of`) is no more."""
    file = run_of(folder, member) / LEFT_ALONE
    try:
        if (_told(file) or "").startswith(of):
            file.unlink(missing_ok=True)
    except OSError as error:
        raise RunError(f"cannot forget why {member.name} was left alone: {error}") from error
    return read(folder, member)


def _left(folder: Path, member: Member, name: str, why: str) -> Place:
    put(run_of(folder, member) / name, " ".join(clean(why).split()) + "\n")
    return read(folder, member)


def _told(file: Path) -> str | None:
    """Return the reason that a file holds; None where there is none, RunError where it cannot be read."""
    try:
        return file.read_text(encoding="utf-8").strip() if file.is_file() else None
    except (OSError, UnicodeDecodeError) as error:
        raise RunError(f"{file.name} cannot be read: {error}") from error


def _damaged(member: Member, run: Path, why: str) -> Place:
    """Return the place of a task of which a file cannot be read, with what to do."""
    own = f"{run.parent.name}/{run.name}"
    told = " ".join(clean(why).split()).replace(f"{run}/", "").replace(str(run), own)
    advice = f"delete {own} and run the suite again, unless a newer evo-kernel wrote it"
    return Place(member, None, f"{told}; {advice}", damaged=True)
