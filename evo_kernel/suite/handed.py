"""What the suite's own test says of what a task's search hands in, kept beside the run."""

import json
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from evo_kernel.runs import State
from evo_kernel.suite import eager, held_out, kept, timed
from evo_kernel.suite import theirs as suite_theirs
from evo_kernel.suite.folder import put
from evo_kernel.suite.kept import flag, words
from evo_kernel.suite.pick import Handed, of
from evo_kernel.suite.timed import Timed
from fitness import their_times
from fitness.gpu import discover
from suites.foreign import Loaded, handing

THEIRS = "theirs.json"


@dataclass(frozen=True, slots=True)
class Said:
    """What a suite's own test says of a program; `passed` is None where nobody could ask it."""

    candidate: str
    called: bool
    passed: bool | None
    why: str
    device: str
    mode: str
    times: Timed | None = None  # by its own performance tests; None: nobody took them
    flagged: bool | None = None  # whether it passes a program that computes nothing too; None: an older version

    @property
    def unasked(self) -> bool:
        """Whether it takes a program for right, and nobody asked whether that says anything."""
        return self.passed is True and self.flagged is None

    @property
    def open(self) -> bool:
        """Whether it is to be asked again: it could not be asked, or says less than it can."""
        return self.passed is None or self.unasked


def said(run: Path, handed: Handed | None) -> Said | None:
    """Return what the suite's test was seen to say of a program; None where nobody asked it, or it cannot be read."""
    found = kept.whole(_kept, run)
    return found if handed is not None and found is not None and found.candidate == handed.candidate.id else None


def damage(run: Path) -> str:
    """Say which of the files that are kept beside a run are damaged; empty where none is."""
    return kept.damage(run, _kept, held_out.kept, eager.kept)


def _kept(run: Path) -> Said | None:
    """Read what the suite's test said; None where there is no file, RunError where it is damaged."""
    return kept.read(run / THEIRS, _said, "ask its test again")


def _said(plain: Any) -> Said:
    """Make what a test said of what its file holds."""
    passed = None if plain["passed"] is None else flag(plain["passed"])
    candidate, why, device, mode = (words(plain[part]) for part in ("candidate", "why", "device", "mode"))
    times, flagged = timed.read(plain.get("times")), plain.get("flagged")
    return Said(candidate, flag(plain["called"]), passed, why, device, mode, times,
                None if flagged is None else flag(flagged))  # fmt: skip


def ask(runs: Mapping[str, tuple[Path, State]], tasks: Sequence[Loaded], workers: int, stop: threading.Event,
        say: Callable[[str], None]) -> None:  # fmt: skip
    """Have the suite's own tests judge what runs hand in, several at once, and each program once.

    What could not be judged is asked again, and of a program that is right, where an older version did not ask it,
    whether that says anything.
    """
    asked: dict[str, tuple[Path, str, Said | None]] = {}
    programs: list[tuple[Loaded, str]] = []
    for task in tasks:
        run, state = runs[task.name]
        handed = of(run, state.search.archive.best)
        before = said(run, handed)
        if handed is None or (before is not None and not before.open):
            continue
        try:
            programs.append((task, _as_theirs(state, handed.candidate.source)))
            asked[task.name] = run, handed.candidate.id, before
        except handing.Unhandable as error:
            _keep(run, _joined(before, Said(handed.candidate.id, False, None, str(error), "", "")))
    for found in suite_theirs.judged(programs, suite_theirs.gpu("auto"), their_times.TEST, workers):
        if not found.why.startswith(suite_theirs.LOST):  # else it is the machine's fault, and asked again
            run, identity, before = asked[found.name]
            told = Said(identity, found.called, found.passed, found.why, found.device, found.mode)
            _keep(run, _joined(before, replace(told, flagged=found.flagged if found.passed else None)))
        say(f"their test: {suite_theirs.line(found)}")
        if stop.is_set():
            return


def _joined(before: Said | None, now: Said) -> Said:
    """Return what a test says now, with what is kept of it: its times, and what it said where it could be asked."""
    if before is None or before.passed is None:
        return now
    if now.passed:
        return replace(before, flagged=now.flagged)
    wrong = now.passed is False and now.device == before.device
    return replace(now, times=before.times) if wrong else before


def clock(runs: Mapping[str, tuple[Path, State]], tasks: Sequence[Loaded], found: discover.Found,
          stop: threading.Event, say: Callable[[str], None]) -> None:  # fmt: skip
    """Have the suite's own performance tests time what searches made and its tests pass, one program at a time, once.

    A program that came with the task is not timed: no measure counts it.
    """
    asked: list[tuple[str, Path, Said]] = []
    programs: list[tuple[Loaded, str]] = []
    for task in tasks:
        run, state = runs[task.name]
        handed = of(run, state.search.archive.best)
        one = said(run, handed)
        if handed is not None and handed.own and one is not None and one.passed and one.times is None:
            asked.append((task.name, run, one))
            programs.append((task, _as_theirs(state, handed.candidate.source)))
    taken = timed.timed(programs, found, their_times.TIMES)
    for number, ((name, run, one), times) in enumerate(zip(asked, taken, strict=True), 1):
        if not times.why.startswith(suite_theirs.LOST):
            _keep(run, replace(one, times=times))
        say(f"[{number}/{len(asked)}] their times: {timed.line(name, times)}")
        if stop.is_set():
            return


def _as_theirs(state: State, source: str) -> str:
    """Return a program as the suite's test takes it: as it is, where that test judged it all along."""
    return source if state.task.judged_by else handing.theirs(state.task, source)


def _keep(run: Path, one: Said) -> None:
    put(run / THEIRS, json.dumps(asdict(one), indent=1) + "\n")


@dataclass(frozen=True, slots=True)
class Verdicts:
    """What both judges say of what was handed in; None where one of them said nothing of its results."""

    candidate: str
    operator: str
    own: bool  # the search made it; else it came with the task
    ours: bool | None
    why: str  # ours refuses it
    mode: str
    times: tuple[tuple[str, float], ...]  # microseconds by case, where ours takes it for right
    theirs: Said | None  # None: nobody asked

    @property
    def differ(self) -> bool:
        """Whether one judge takes it for right and the other does not."""
        said = None if self.theirs is None else self.theirs.passed
        return None not in (said, self.ours) and said != self.ours


def verdicts(run: Path, handed: Handed) -> Verdicts:
    """Return both verdicts on what a run hands in."""
    one, found = handed.candidate, handed.evaluation
    return Verdicts(
        one.id, one.operator, handed.own, handed.right, handed.why, str(found.mode),
        tuple((c.case, c.time_us) for c in found.cases) if found.passed else (), said(run, handed),
    )  # fmt: skip
