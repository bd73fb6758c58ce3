"""Writes the best programs as files that need torch and triton alone, after the held-out cases were passed."""

from dataclasses import dataclass
from pathlib import Path
from time import gmtime, strftime

from archives.archive import Entry
from evo_kernel import runs
from evo_kernel.errors import RunError
from evo_kernel.pools import judge_now, one_judge
from evo_kernel.runs import State
from fitness.evaluation import Evaluation, Failure
from suites import names


@dataclass(frozen=True, slots=True)
class Exported:
    """One program: where it was written, or which held-out case it failed."""

    candidate: str
    path: Path | None
    score_us: float
    failure: Failure | None


def export(folder: Path, top: int, out: Path) -> list[Exported]:
    """Export the `top` fastest programs that pass the held-out cases; those that fail are named, not written."""
    if top < 1:
        raise RunError(f"the number of programs to export must be at least 1; got {top}")
    state = runs.read(folder)
    ranked = state.search.archive.top(4 * top + 4)
    if not ranked:
        raise RunError(f"no program of {folder} has passed every gate yet: there is nothing to export")
    judge = one_judge(state.task, state.settings)
    results: list[Exported] = []
    try:
        for entry in ranked:
            if sum(r.path is not None for r in results) == top:
                break
            verdict = judge_now(judge, entry.candidate.source, state.task.held_out)
            results.append(_export_one(entry, verdict, state, folder, out))
    finally:
        judge.close()
    return results


def _export_one(entry: Entry, held_out: Evaluation, state: State, folder: Path, out: Path) -> Exported:
    """Write one program, unless it failed a held-out case."""
    if held_out.failure is not None:
        return Exported(entry.candidate.id, None, entry.score_us, held_out.failure)
    try:
        out.mkdir(parents=True, exist_ok=True)
        path = out / f"{state.task.name}_{state.settings.target}_{entry.candidate.id[:8]}.py"
        partial = path.with_suffix(".py.partial")
        partial.write_text(_header(entry, held_out, state, folder) + entry.candidate.source, encoding="utf-8")
        partial.replace(path)
    except OSError as error:
        raise RunError(f"cannot export to {out}: {error}") from error
    return Exported(entry.candidate.id, path, entry.score_us, None)


def _header(entry: Entry, held_out: Evaluation, state: State, folder: Path) -> str:
    """Say where the program comes from and what is known about it."""
    target, versions = state.settings.target, state.started.versions
    today = strftime("%Y-%m-%d", gmtime())
    task = state.task.name if state.task.name in names() else f"FILE_OF_TASK_{state.task.name}"
    checked = ", ".join(c.case for c in held_out.cases)
    archive = state.search.archive
    given = [archive[s] for s in state.search.seeds if s in archive]
    seeds = [e.score_us for e in given if e.candidate.operator == "seed"]
    lines = [
        f"{state.task.name}: exported by evo-kernel {versions.get('evo-kernel', '?')} on {today}",
        f"candidate {entry.candidate.id} of run {folder.name}, seed {state.settings.seed}, for {target}",
        f"torch {versions.get('torch', '?')}, triton {versions.get('triton', '?')}",
        f"Times below are PREDICTED for {target} from compiled code, in microseconds; nothing was measured.",
        f"geometric mean {entry.score_us:.2f} (seed kernel {min(seeds):.2f}), by case:",
    ]
    for case in entry.evaluation.cases:
        chosen = "".join(f"; {function}: {label}" for function, label in case.choice)
        lines.append(f"  {case.case}: {case.time_us:.2f} (roofline {case.floor_us:.2f}, {case.bound} bound{chosen})")
    lines.append(f"Correct under Triton's interpreter on these and, unseen by the search, on: {checked};")
    lines.append("each at the reduced size its task gives for the interpreter, not at the size timed above.")
    lines.append(f"Verify again: evo-kernel judge THIS_FILE --task {task} --target {target} --held-out")
    return "".join(f"# {line}\n" for line in lines) + "\n"
