"""Writes the best programs as files that need torch and triton alone, after the held-out cases were passed."""

import ast
import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from time import gmtime, strftime
from typing import Any

from archives.archive import Entry
from evo_kernel import machine, runs
from evo_kernel.errors import RunError
from evo_kernel.measurement import baseline
from evo_kernel.pools import OneJudge, judge_now, make_open_judge, one_judge
from evo_kernel.runs import State
from fitness.evaluation import Basis, CaseResult, Evaluation, Failure, Mode
from fitness.verification import LEFT_OUT
from suites import Task, TaskError, names
from suites.loading import find
from suites.parsing import parse
from suites.trials import interpretable

BLOCK_POINTERS = "make_block_ptr"
HELD_OUT, ITSELF = "a held-out case", "when its own launcher runs (open mode, untrusted-host)"


@dataclass(frozen=True, slots=True)
class Launch:
    """What a program did when its own launcher ran, in open mode; `unknown` says why it did not run."""

    evaluation: Evaluation | None
    unknown: str = ""


@dataclass(frozen=True, slots=True)
class Exported:
    """One program: where it was written, or what it failed."""

    candidate: str
    path: Path | None
    score_us: float
    failure: Failure | None
    gate: str = HELD_OUT  # that the failure is of
    launch: Launch | None = None


def export(folder: Path, top: int, out: Path) -> list[Exported]:
    """Export the `top` fastest programs that pass the held-out cases; those that fail are named, not written.

    On a GPU a sealed program's own launcher then runs too, in open mode: what it shows a recorder must be what it does.
    """
    if top < 1:
        raise RunError(f"the number of programs to export must be at least 1; got {top}")
    state = runs.read(folder)
    ranked = state.search.archive.top(4 * top + 4)
    if not ranked:
        raise RunError(f"no program of {folder} has passed every gate yet: there is nothing to export")
    machine.check_resumable(state.settings)
    results: list[Exported] = []
    with contextlib.ExitStack() as opened:
        judge = opened.enter_context(contextlib.closing(one_judge(state.task, state.settings)))
        itself = Itself(state, opened)
        for entry in ranked:
            if sum(r.path is not None for r in results) == top:
                break
            verdict = judge_now(judge, entry.candidate.source, state.task.held_out, confirm=True)
            if verdict.failure is not None:
                results.append(Exported(entry.candidate.id, None, entry.score_us, verdict.failure))
                continue
            launch = None if state.task.judged_by else itself.launch(entry)
            if launch is not None and launch.evaluation is not None and launch.evaluation.failure is not None:
                failure = launch.evaluation.failure
                results.append(Exported(entry.candidate.id, None, entry.score_us, failure, ITSELF, launch))
                continue
            path = _write(_header(entry, verdict, state, folder, launch), entry, state, out)
            results.append(Exported(entry.candidate.id, path, entry.score_us, None, launch=launch))
    return results


class Itself:
    """Runs the own launchers of programs that were judged sealed; its judge starts when the first one needs it."""

    def __init__(self, state: State, opened: contextlib.ExitStack) -> None:
        self._state, self._opened = state, opened
        self._judge: OneJudge | None = None
        self._unknown = "" if state.settings.basis == "measured" else "it was exported without measuring on a GPU"

    def launch(self, entry: Entry) -> Launch:
        """Run one program's launcher on every case, and compare what it returns."""
        if self._state.settings.mode == "open":
            return Launch(entry.evaluation)
        if self._unknown:
            return Launch(None, self._unknown)
        try:
            if self._judge is None:
                judge = make_open_judge(self._state.task, self._state.settings)
                self._judge = self._opened.enter_context(contextlib.closing(judge))
            return Launch(judge_now(self._judge, entry.candidate.source, self._state.task.cases))
        except (RunError, TaskError) as error:  # of this machine; no program is to blame
            self._unknown = str(error).splitlines()[0]
            return Launch(None, self._unknown)


def _write(header: str, entry: Entry, state: State, out: Path) -> Path:
    """Write one program; a reader never sees half of it."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        path = out / f"{state.task.name.replace('/', '-')}_{state.settings.target}_{entry.candidate.id[:8]}.py"
        partial = path.with_suffix(".py.partial")
        partial.write_text(header + entry.candidate.source, encoding="utf-8")
        partial.replace(path)
    except OSError as error:
        raise RunError(f"cannot export to {out}: {error}") from error
    return path


def _header(entry: Entry, held_out: Evaluation, state: State, folder: Path, launch: Launch | None = None) -> str:
    """Say where the program comes from, what is known about it, and how to find out again."""
    target, versions, e = state.settings.target, state.started.versions, entry.evaluation
    today = strftime("%Y-%m-%d", gmtime())
    mode = " --mode open" if e.mode is Mode.OPEN else ""
    again = f"judge THIS_FILE --task {_task(state.task)} --target {target} --basis {e.basis}{mode} --held-out"
    if state.task.judged_by:
        suite, _, name = state.task.name.partition("/")
        again = f"suite judge {suite} THIS_FILE --task {name} --root CHECKOUT"
    lines = [
        f"{state.task.name}: exported by evo-kernel {versions.get('evo-kernel', '?')} on {today}",
        f"candidate {entry.candidate.id} of run {folder.name}, seed {state.settings.seed}, for {target}",
        f"torch {versions.get('torch', '?')}, triton {versions.get('triton', '?')}",
        *(("Needs a Triton before 3.9, which has no block pointers any more.",) if _points(entry) else ()),
        *(_measured(e) if e.basis is Basis.MEASURED else _predicted(entry, state)),
        *(() if launch is None else _launched(launch)),
        *_correct(e, held_out, state.task),
        f"Judged in mode {e.mode}, isolation {e.isolation}.",
        f"Verify again: evo-kernel {again}",
    ]
    return "".join(f"# {line}\n" for line in lines) + "\n"


def _task(task: Task) -> str:
    """Return what finds this very task again: a native one's name is no name of another's file."""
    if task.foreign:
        return f"{task.name} --root CHECKOUT"
    native = task.name in names() and find(task.name)[0] == task.source
    return task.name if native else f"FILE_OF_TASK_{task.name}.py"


def _points(entry: Entry) -> bool:
    """Tell whether a program makes block pointers."""
    tree = parse(entry.candidate.source)
    return any(BLOCK_POINTERS in (getattr(n, "attr", ""), getattr(n, "name", "")) for n in ast.walk(tree))


def _predicted(entry: Entry, state: State) -> Iterator[str]:
    """State predicted times as what they are."""
    seed = baseline(state)
    told = "" if seed is None else f" (seed kernel {seed.score_us:.2f})"
    after = state.search.archive.measured.get(entry.candidate.id)
    known = "; none was measured" if after is None else ""
    yield f"Times below are PREDICTED for {state.settings.target} from compiled code, in microseconds{known}."
    yield f"geometric mean {entry.score_us:.2f}{told}, by case:"
    for case in entry.evaluation.cases:
        yield f"  {case.case}: {case.time_us:.2f} (roofline {case.floor_us:.2f}, {case.bound} bound{_tuned(case)})"
    if after is not None:
        yield from _measured(after)


def _measured(e: Evaluation) -> Iterator[str]:
    """State measured times with their intervals and the device."""
    how = "confirmed in fresh processes" if e.confirmed else "screened once, not confirmed"
    if e.mode is Mode.OPEN:
        how = f"{e.mode}: each is a claim of the program's own process"
    clock = "cold cache" if all(c.share for c in e.cases) else "by the suite's own performance test"
    yield f"Times below were MEASURED on {e.device}, in microseconds, {clock}, {how}; [95% intervals]."
    yield f"geometric mean {e.score_us:.2f}{_within(e.interval_us)}, by case:"
    for case in e.cases:
        interval = None if case.low_us is None or case.high_us is None else (case.low_us, case.high_us)
        samples = f" of {case.samples} samples" if case.samples else ""
        floor = "" if case.share is None else f" ({case.share:.0%} of the roofline, {case.bound} bound{_tuned(case)})"
        yield f"  {case.case}: {case.time_us:.2f}{_within(interval)}{samples}{floor}"
    for c in e.against:
        yield f"{1 / c.ratio:.3f}x the {c.rival}'s speed [{1 / c.high:.3f}, {1 / c.low:.3f}], timed side by side"


def _launched(launch: Launch) -> Iterator[str]:
    """State what a call costs the host beside what it costs the device."""
    if launch.evaluation is None:
        yield f"What a call costs the host is not known; the launcher ran under the recorder alone: {launch.unknown}."
        return
    e = launch.evaluation
    yield f"The launcher itself ran in open mode on {e.device} and returned right results. What a call takes, by the"
    yield f"program's own process ({e.mode}), in microseconds on the host and on the device:"
    for case in e.cases:
        yield f"  {case.case}: host {case.host_us:.1f}, device {case.time_us:.2f}"


def launch_plain(launch: Launch | None) -> dict[str, Any] | None:
    """Return what a program's own launcher did as plain data."""
    if launch is None:
        return None
    e = launch.evaluation
    if e is None:
        return {"mode": Mode.OPEN.value, "unknown": launch.unknown}
    cases = [{"case": c.case, "host_us": c.host_us, "device_us": c.time_us} for c in e.cases]
    return {"mode": e.mode.value, "passed": e.passed, "cases": cases}


def _correct(e: Evaluation, held_out: Evaluation, task: Task) -> Iterator[str]:
    """Say on which cases and edges the program was right, and which edges it never ran on."""
    if task.judged_by:
        yield f"Right on {held_out.device} by its suite's own test, and by that alone: there are no held-out cases."
        return
    checked = ", ".join(c.case for c in held_out.cases)
    if e.basis is Basis.MEASURED and e.mode is not Mode.OPEN:
        left = [note for note in held_out.notes if note.startswith(LEFT_OUT)]
        edges = "every edge of the task" if not left else "all other edges of the task"
        where = f"Correct on {held_out.device} at full size on these"
        yield f"{where}, on {edges} and, unseen by the search, on: {checked}."
        yield from left
        return
    if e.basis is Basis.MEASURED:
        yield f"Correct on {held_out.device} at full size on these and, unseen by the search, on: {checked}."
    else:
        yield f"Correct under Triton's interpreter on these and, unseen by the search, on: {checked};"
        yield "each at the reduced size its task gives for the interpreter, not at the size timed above."
    waiting = [edge.name for edge in task.edges if not interpretable(edge)]
    if waiting:
        yield f"{LEFT_OUT}{', '.join(waiting)}: only a program measured in sealed mode is run there."


def _tuned(case: CaseResult) -> str:
    return "".join(f"; {function}: {label}" for function, label in case.choice)


def _within(interval: tuple[float, float] | None) -> str:
    return "" if interval is None else f" [{interval[0]:.2f}, {interval[1]:.2f}]"
