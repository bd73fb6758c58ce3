"""Measures what a search found: predicted elites when a person asks, the best of a measured search when it ends.

Both are run on fresh data, every trial and the huge edges, confirmed in fresh processes beside the seed, and written
down.
"""

import contextlib
from collections.abc import Callable, Sequence
from pathlib import Path
from time import monotonic

from archives.archive import Entry
from archives.events import Measured
from archives.journal import Journal
from evo_kernel import isolation, machine, runs, stopping
from evo_kernel.config import Settings
from evo_kernel.errors import RunError
from evo_kernel.pools import OneJudge, judge_now, make_measuring_judge, make_open_judge
from evo_kernel.runs import State
from fitness.evaluation import Evaluation, Mode
from fitness.feedback import label
from fitness.verification import LEFT_OUT, huge_names

FINALISTS = 3  # programs that are run at a search's end until one passes

Row = tuple[str, Evaluation]  # a candidate's id and what the device said


def measure(folder: Path, top: int, say: Callable[[str], None]) -> list[Row]:
    """Measure a run's fastest elites and journal each verdict; `say` hears of each as it comes."""
    with Journal.append_to(folder) as journal:
        state = runs.fold(journal)
        machine.require(state.settings.target)
        isolation.require_here(state.settings)
        elites = state.search.archive.ranked()[:top]
        if not elites:
            raise RunError(f"no program of {folder} has passed yet: there is nothing to measure")
        seed = baseline(state)
        say(f"measuring {len(elites)} programs for {state.settings.target}: starting the device")
        make = make_open_judge if state.settings.mode == "open" else make_measuring_judge
        judge: OneJudge = make(state.task, state.settings)
        try:
            rows = []
            for number, entry in enumerate(elites, 1):
                event, seconds = _measured(judge, state, entry, seed)
                journal.append(event, seconds)
                evaluation = event.evaluation
                rows.append((entry.candidate.id, evaluation))
                say(f"{number}/{len(elites)}  {entry.candidate.id[:8]}  {_result(evaluation)}  {seconds:.1f} s")
        finally:
            judge.close()
    return rows


def confirm_best(folder: Path, say: Callable[[str], None], settings: Settings | None = None) -> None:
    """Run the best of a measured search, now at its end, on the edges that only this is worth; who fails is no best.

    Not where the search ended because its time was spent, nor where the GPU is elsewhere: then `unrun` names them.
    `settings` are the run's where it shares the GPU with other judges than it was begun with.
    """
    with Journal.append_to(folder) as journal:
        state = runs.fold(journal)
        if not unrun(state) or state.search.stop in (stopping.WALL_TIME, stopping.GPU_SECONDS):
            return
        try:
            judge = make_measuring_judge(state.task, settings or state.settings)
        except RunError as error:
            say(f"huge edges were not run: {error}")
            return
        with contextlib.closing(judge):
            for _ in range(FINALISTS):
                best = state.search.archive.best
                if best is None or not unrun(state):
                    return
                event, seconds = _measured(judge, state, state.search.archive[best], baseline(state))
                journal.append(event, seconds)
                state.search.tell(event)
                say(f"the best so far, {best[:8]}, at the end: {_result(event.evaluation)}  {seconds:.1f} s")


def unrun(state: State) -> tuple[str, ...]:
    """Name the huge edges that the best of a measured search was not run on; a search itself runs none."""
    archive = state.search.archive
    sealed = state.settings.basis == "measured" and state.settings.mode == "sealed"
    if not sealed or archive.best is None or archive.best in archive.measured:
        return ()
    return huge_names(state.task)


def not_run(state: State) -> list[str]:
    """Say of which edges nothing is known for the best: those it was not run on, and those no room was found for."""
    archive = state.search.archive
    left = list(archive[archive.best].evaluation.notes) if archive.best is not None else []
    waiting = unrun(state)
    told = [f"not run on its huge edges ({', '.join(waiting)}): `evo-kernel measure RUN` does that"] if waiting else []
    return told + [note for note in left if note.startswith(LEFT_OUT)]


def _measured(judge: OneJudge, state: State, entry: Entry, seed: Entry | None) -> tuple[Measured, float]:
    """Measure one program as a person would have it; return what is to be written down, and its seconds."""
    started = monotonic()
    against = {} if seed is None or entry is seed else {"baseline": seed.candidate.source}
    evaluation = judge_now(judge, entry.candidate.source, state.task.cases, against, confirm=True)
    return Measured(entry.candidate.id, evaluation), monotonic() - started


def baseline(state: State) -> Entry | None:
    """Return the fastest of the task's own seeds that passed."""
    archive = state.search.archive
    seeds = [archive[s] for s in state.search.seeds if s in archive and archive[s].candidate.operator == "seed"]
    return min(seeds, key=lambda e: e.score_us, default=None)


def table(rows: Sequence[Row]) -> str:
    """Format measurements: for every program its cases, their mean, and its ratio to the seed."""
    title = f"{'program':<10}{'case':<28}{'measured us':>12}  {'95% interval':<22}{'of roofline':>11}  ratio to seed"
    lines = [title]
    for identity, e in rows:
        if e.failure is not None:
            first = e.failure.message.splitlines()[0] if e.failure.message else ""
            lines.append(
                f"{identity[:8]:<10}FAILED on {e.device} at {e.failure.stage} ({e.failure.kind}){label(e)}: {first}"
            )
            continue
        for number, c in enumerate(e.cases):
            name = identity[:8] if number == 0 else ""
            within = "" if c.low_us is None or c.high_us is None else f"[{c.low_us:.2f}, {c.high_us:.2f}]"
            share = "-" if c.share is None else f"{c.share:.0%}"
            lines.append(f"{name:<10}{c.case:<28}{c.time_us:>12.2f}  {within:<22}{share:>11}")
        lines.append(_mean(e))
    devices = sorted({str(e.device) for _, e in rows})
    how = "each confirmed in fresh processes; a ratio below 1 is faster"
    if any(label(e) for _, e in rows):
        how = f"{Mode.OPEN}: times are claims of each program's own process, and none is confirmed"
    lines.append(f"measured on {', '.join(devices)}, {how}")
    return "\n".join(lines)


def _mean(e: Evaluation) -> str:
    """Format a program's geometric mean with its ratio to the seed."""
    interval, ratio = e.interval_us, e.ratio_to("baseline")
    within = "" if interval is None else f"[{interval[0]:.2f}, {interval[1]:.2f}]"
    alone = f"none{label(e)}" if label(e) else "it is the seed"
    told = alone if ratio is None else f"{ratio.ratio:.3f} [{ratio.low:.3f}, {ratio.high:.3f}]"
    return f"{'':<10}{'geometric mean':<28}{e.score_us:>12.2f}  {within:<22}{'':>11}  {told}"


def _result(e: Evaluation) -> str:
    if e.failure is not None:
        return f"FAILED at {e.failure.stage} ({e.failure.kind}){label(e)}"
    return f"measured {e.score_us:.2f} us{label(e)}"
