"""What a suite run found for each task, folded from the journals of its runs: nothing in it depends on a clock."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from archives.archive import Entry
from archives.events import Answered, Event, Judged, Proposed
from archives.journal import Journal
from evo_kernel import measurement, metrics
from evo_kernel.search import GIVEN
from evo_kernel.suite import eager, pick, standing
from evo_kernel.suite import handed as suite_handed
from evo_kernel.suite import held_out as suite_held_out
from evo_kernel.suite.folder import SuiteRun, run_of
from evo_kernel.suite.handed import Verdicts
from fitness.evaluation import Failure
from suites.foreign import by_theirs

PICO = 1e12  # of a dollar


@dataclass(frozen=True, slots=True)
class CaseRow:
    """One public case: the time of what the best is held against, and the best's; microseconds of the run's basis.

    That is the seed, and PyTorch's own time where the task came with no kernel and PyTorch was timed.
    """

    case: str
    reference_us: float
    best_us: float
    roofline_us: float | None

    @property
    def speedup(self) -> float:
        """The reference's time over the best's."""
        return self.reference_us / self.best_us


@dataclass(frozen=True, slots=True)
class Spent:
    """What a search had used when a verdict came; programs that came with the task count as none of its evaluations."""

    evaluations: int = 0
    calls: int = 0
    tokens: int = 0
    dollars: float = 0.0
    gpu_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Made:
    """What became of the programs that a search made, and what they cost, in the order of their verdicts."""

    evaluations: int = 0
    ran: int = 0
    correct: int = 0
    spent: Spent = Spent()
    to_first: Spent | None = None  # up to the first that passed
    to_best: Spent | None = None  # up to the best; None: that is a seed


@dataclass(frozen=True, slots=True)
class Row:
    """One task."""

    name: str
    group: str | None
    category: str | None
    status: str
    why: str
    made: Made
    alone: bool = False  # the last run did not go on with it, for what `why` says
    seed_us: float | None = None
    best_us: float | None = None
    eager_us: float | None = None  # PyTorch's, where there is no seed
    speedup: float | None = None  # confirmed where it is measured: the seed timed beside it
    interval: tuple[float, float] | None = None
    roofline: float | None = None  # of the best, which may be the seed
    own_roofline: float | None = None  # of the right program of its own that the search hands in
    cases: tuple[CaseRow, ...] = ()
    held_out: metrics.Quadrant | None = None
    held_out_why: str = ""  # whichever of the two fails
    handed: Verdicts | None = None  # both verdicts on what the search hands in
    references: tuple[tuple[str, float], ...] = ()  # microseconds by case
    task: str = ""  # digest of its text; empty where there is none yet
    by: str = "ours"  # who judged while it was searched: theirs where no task of ours could be made

    @property
    def regressions(self) -> tuple[str, ...]:
        """The cases that the best is slower on than the seed, or than PyTorch where there is none."""
        return tuple(c.case for c in self.cases if c.speedup < 1)

    @property
    def result(self) -> metrics.Result:
        """Return the task as the published measures take it: a seed that came with it is no success.

        Nor is its time: where no program of the search's is faster, the fastest right one of them is timed. What the
        suite's own test alone could judge has no success by ours.
        """
        if self.by == "theirs":
            return metrics.Result(self.name, False, False)
        latencies = self._generated if self.made.correct else ()
        return metrics.Result(
            self.name, self.made.ran > 0, self.made.correct > 0, latencies, self.made.evaluations, self.made.correct,
            self.held_out,
        )  # fmt: skip

    @property
    def _generated(self) -> tuple[tuple[float, float], ...]:
        """Return by case the reference's time and that of the search's own program."""
        if self.handed is None:
            return tuple((c.reference_us, c.best_us) for c in self.cases)
        before = dict(self.references)
        return tuple((before[case], us) for case, us in self.handed.times if case in before)

    @property
    def result_by_theirs(self) -> metrics.Result:
        """Return the task as the suite's own test sees it: one program of the search's was handed in, or none."""
        one = self.handed
        if one is None or not one.own or one.theirs is None:
            return metrics.Result(self.name, False, False, samples=int(one is not None and one.own))
        right = one.theirs.passed is True
        during = () if self.by == "theirs" else self._generated  # the fastest of many such times is a lucky one
        latencies = (self.timed_by_theirs or during) if right else ()
        return metrics.Result(self.name, one.theirs.called, right, latencies, 1, int(right))

    @property
    def timed_by_theirs(self) -> tuple[tuple[float, float], ...]:
        """Return by test the reference's time and the search's own program's, taken by the suite's tests after it."""
        one = self.handed
        kept = one is not None and one.own and one.theirs is not None and one.theirs.times
        return kept.latencies if kept else ()

    @property
    def their_clock(self) -> tuple[float, float, float] | None:
        """Return what the suite's reference is beside itself by its own clock: mean and extremes over tests."""
        kept = self.handed and self.handed.theirs and self.handed.theirs.times
        return kept.beside_itself if kept else None


def rows(folder: Path, asked: SuiteRun) -> tuple[Row, ...]:
    """Fold every task of a suite run."""
    searched = [_row(folder, standing.read(folder, m)) for m in asked.searched]
    left = [
        Row(m.name, m.group, m.category, standing.HOPELESS, m.left_out, Made())
        for m in asked.members
        if m.left_out is not None
    ]
    return (*searched, *left)


def _row(folder: Path, place: standing.Place) -> Row:
    member, state = place.member, place.state
    if state is None:
        why = place.in_the_way or place.why
        return Row(member.name, member.group, member.category, place.status, why, Made(), alone=place.alone)
    run, archive = run_of(folder, member), state.search.archive
    with Journal.read(run) as journal:
        made = fold(journal.events(), archive.best)
    found = pick.of(run, archive.best)
    handed = None if found is None else suite_handed.verdicts(run, found)
    damage, no_task = suite_handed.damage(run), by_theirs.why(state.task)
    told = [place.in_the_way] if place.alone else []
    told += [f"ours: no task, because {no_task}"] if no_task else []
    told += [*([damage] if damage else []), *(_failed(f) for _, f in state.search.failed_seeds)]
    if no_task and handed is not None:
        handed = replace(handed, ours=None, why=f"no task, because {no_task}")
    seed, best = measurement.baseline(state), archive[archive.best] if archive.best else None
    made_own = found if found is not None and found.success and not no_task else None
    held_out = None if made_own is None else suite_held_out.said(run, made_own)
    times = eager.times(run) if seed is None else {c.case: c.time_us for c in seed.evaluation.cases}
    status = standing.DAMAGED if damage else place.status
    row = Row(
        member.name, member.group, member.category, status, "; ".join(told), made, alone=place.alone, handed=handed,
        references=tuple(times.items()), by="theirs" if no_task else "ours", task=state.task.digest,
        own_roofline=None if made_own is None else made_own.evaluation.roofline,
        held_out=None if held_out is None else held_out.quadrant, held_out_why="" if held_out is None else held_out.why,
    )  # fmt: skip
    if best is None:
        return row
    # of a suite's own clock the best has the luckiest times of many: they are held against nothing, case by case either
    known = () if no_task else best.evaluation.cases
    cases = tuple(CaseRow(c.case, times[c.case], c.time_us, c.floor_us) for c in known if c.case in times)
    row = replace(row, best_us=best.score_us, roofline=best.roofline, cases=cases)
    if seed is None:  # it came with PyTorch alone: there is no kernel to be faster than
        whole = len(cases) == len(best.evaluation.cases)  # else its mean would be of other cases than the best's
        return replace(row, eager_us=_mean([c.reference_us for c in cases]) if whole else None)
    return _timed(row, seed, best)


def _mean(times: Sequence[float]) -> float | None:
    """Return a geometric mean, as scores are."""
    return math.exp(sum(map(math.log, times)) / len(times)) if times else None


def _failed(failure: Failure) -> str:
    said = " ".join(failure.message.split())[:160]
    return f"seed fails at {failure.stage}: {failure.kind}{f', {said}' if said else ''}"


def _timed(row: Row, seed: Entry, best: Entry) -> Row:
    """Add what is known beside a seed that passed."""
    beside = best.evaluation.ratio_to("baseline")
    claimed = (
        None if row.by == "theirs" else seed.score_us / best.score_us
    )  # theirs: the fastest of many is a lucky one
    return replace(
        row, seed_us=seed.score_us, speedup=claimed if beside is None else 1 / beside.ratio,
        interval=None if beside is None else (1 / beside.high, 1 / beside.low),
    )  # fmt: skip


def fold(events: Iterable[Event], best: str | None) -> Made:
    """Count what became of the programs that a search made itself."""
    proposed: dict[int, Proposed] = {}
    tally = _Tally()
    for event in events:
        if isinstance(event, Proposed):
            proposed[event.number] = event
        elif isinstance(event, Answered):
            tally.calls += event.calls
            tally.tokens += event.tokens
            tally.pico += event.dollars
        elif isinstance(event, Judged):
            candidate = proposed[event.number].candidate
            own = candidate.operator not in GIVEN
            tally.judged(event, own)
            if own and candidate.id == best:
                tally.to_best = tally.spent
    return tally.made


@dataclass
class _Tally:
    """What a journal says so far."""

    evaluations: int = 0
    ran: int = 0
    correct: int = 0
    calls: int = 0
    tokens: int = 0
    pico: int = 0  # dollars, in the journal's own unit: their sum is exact
    gpu_seconds: float = 0.0
    to_first: Spent | None = None
    to_best: Spent | None = None

    def judged(self, event: Judged, own: bool) -> None:
        """Count a verdict; `own` if the search made the program."""
        failure = event.evaluation.failure
        self.gpu_seconds += event.gpu_seconds
        if not own:
            return
        self.evaluations += 1
        self.ran += failure is None or failure.stage in pick.RUNS
        self.correct += failure is None
        if failure is None and self.to_first is None:
            self.to_first = self.spent

    @property
    def spent(self) -> Spent:
        return Spent(self.evaluations, self.calls, self.tokens, self.pico / PICO, self.gpu_seconds)

    @property
    def made(self) -> Made:
        return Made(self.evaluations, self.ran, self.correct, self.spent, self.to_first, self.to_best)
