"""Judges a seed and what its search hands in on cases that no operator saw, and keeps what came of it and why."""

import json
import logging
import threading
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from evo_kernel import measurement, metrics, runs
from evo_kernel.config import MACHINE, Settings
from evo_kernel.pools import judge_now, one_judge
from evo_kernel.runs import State
from evo_kernel.suite import eager, pick
from evo_kernel.suite import kept as suite_kept
from evo_kernel.suite.folder import HELD_OUT, put, run_of
from evo_kernel.suite.kept import flag, words
from evo_kernel.suite.pick import Handed
from evo_kernel.suite.standing import Place
from fitness.evaluation import Failure, Stage

logger = logging.getLogger(__name__)

OWN = "own program"  # of the search, in reasons


@dataclass(frozen=True, slots=True)
class HeldOut:
    """What held-out cases say of the program that a search began with and of its own, and why one fails."""

    candidate: str  # the search's own
    before: bool
    after: bool
    why: str = ""

    @property
    def quadrant(self) -> metrics.Quadrant:
        """Return both in one word."""
        return metrics.quadrant(self.before, self.after)


def judge(folder: Path, place: Place, settings: Settings, stop: threading.Event) -> None:
    """Judge a task's seed and what its search hands in, once for each such program; a best is confirmed before.

    Where the search made nothing right there is nothing to ask: a seed is a baseline alone. A task that its suite's own
    test judges has no cases, and so none that are held out.
    """
    state = place.state
    if state is None or state.search.archive.best is None or state.task.judged_by or stop.is_set():
        return
    run = run_of(folder, place.member)
    here = state.settings.model_copy(update={part: getattr(settings, part) for part in MACHINE})
    if settings.basis == "measured" and settings.mode == "sealed":
        measurement.confirm_best(run, logger.info, here)
        state = runs.read(run)
    state = replace(state, settings=here)
    seed, best = measurement.baseline(state), state.search.archive.best
    if seed is None and best is not None and eager.wanted(state):
        eager.keep(run, state)
    made = pick.of(run, best)
    if made is None or not made.success or said(run, made) is not None or stop.is_set():
        return
    given = None if seed is None else seed.candidate.source  # None: the reference, which is what right means
    programs = {name: text for name, text in (("seed", given), (OWN, made.candidate.source)) if text is not None}
    failed = _failures(state, programs, stop)
    if failed is None:
        return
    lost = [f"{name}: {f.message}" for name, f in failed.items() if f is not None and f.stage is Stage.MACHINE]
    if lost:  # which says nothing of a program: asked again when the run is gone on with
        logger.warning("%s: held-out cases could not be judged; its %s", place.member.name, "; its ".join(lost))
        return
    why = "; ".join(f"its {name} fails at {_told(f)}" for name, f in failed.items() if f is not None)
    one = HeldOut(made.candidate.id, failed.get("seed") is None, failed[OWN] is None, why)
    put(run / HELD_OUT, json.dumps(asdict(one)) + "\n")


def said(run: Path, made: Handed) -> HeldOut | None:
    """Return what held-out cases said of the seed and of this program; None where that is to be asked."""
    found = suite_kept.whole(kept, run)
    return found if found is not None and found.candidate == made.candidate.id else None


def kept(run: Path) -> HeldOut | None:
    """Read what held-out cases said; None where there is no file, RunError where it is damaged."""

    def made(plain: Any) -> HeldOut:
        before, after = flag(plain["before"]), flag(plain["after"])
        return HeldOut(words(plain["candidate"]), before, after, words(plain.get("why", "")))

    return suite_kept.read(run / HELD_OUT, made, "judge held-out cases again")


def _failures(state: State, programs: Mapping[str, str], stop: threading.Event) -> dict[str, Failure | None] | None:
    """Judge programs on the held-out cases, each text once; return why each fails. None: stopped before the end."""
    verdicts: dict[str, Failure | None] = {}
    judge = one_judge(state.task, state.settings)
    try:
        for text in dict.fromkeys(programs.values()):
            if stop.is_set():
                return None
            verdicts[text] = judge_now(judge, text, state.task.held_out).failure
    finally:
        judge.close()
    return {name: verdicts[text] for name, text in programs.items()}


def _told(failure: Failure) -> str:
    return f"{failure.stage}: {failure.kind}, {' '.join(failure.message.split())[:200]}"
