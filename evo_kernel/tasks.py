"""What the command line does with tasks: describe one, write a template, judge one program of it."""

from pathlib import Path

import click

from evo_kernel.config import Settings
from evo_kernel.errors import RunError
from evo_kernel.pools import judge_now, one_judge
from fitness.evaluation import Evaluation
from suites import Case, Task
from suites.loading import TEMPLATE
from suites.task import Input


def describe(task: Task) -> str:
    """Return a task in words and numbers."""
    lines = [task.about.strip(), "", f"launcher: {task.entry}", f"seeds: {', '.join(s.name for s in task.seeds)}"]
    for title, cases in (("cases", task.cases), ("held-out cases", task.held_out)):
        lines.append(f"{title}:")
        lines += [_case(c) for c in cases]
    return "\n".join(lines)


def _case(case: Case) -> str:
    arguments = ", ".join(
        f"{name} {a.dtype}{list(a.shape)} {a.distribution}" if isinstance(a, Input) else f"{name}={a}"
        for name, a in case.inputs.items()
    )
    return f"  {case.name:<28} {case.flops / 1e9:>9.3f} GFLOP {case.bytes / 1e6:>9.2f} MB  {arguments}"


def write_template(file: Path) -> None:
    """Copy the commented template; an existing file is never overwritten."""
    try:
        with open(file, "x", encoding="utf-8") as target:
            target.write(TEMPLATE.read_text(encoding="utf-8"))
    except FileExistsError as error:
        raise RunError(f"{file} exists already; give another name") from error
    except OSError as error:
        raise RunError(f"cannot write {file}: {error}") from error


def judge_file(task: Task, source: str, settings: Settings, held_out: bool, title: str = "program") -> bool:
    """Judge one program, print the verdict, and return whether it passed."""
    judge = one_judge(task, settings)
    try:
        cases = (*task.cases, *task.held_out) if held_out else task.cases
        verdict = judge_now(judge, source, cases)
    finally:
        judge.close()
    click.echo(_verdict(title, verdict))
    return verdict.passed


def _verdict(title: str, verdict: Evaluation) -> str:
    """Format a verdict for a person."""
    if verdict.failure is not None:
        f = verdict.failure
        text = f"{title}: FAILED at {f.stage} ({f.kind}): {f.message}"
        return text + (f"\n{f.trace.rstrip()}" if f.trace else "")
    lines = [f"{title}: passed; predicted {verdict.score_us:.2f} us on {verdict.target} (geometric mean)"]
    lines += [
        f"  {c.case:<28} predicted {c.time_us:>10.2f} us  roofline {c.floor_us:>9.2f} us  {c.bound} bound  "
        f"error {c.error:.2f} of the limit" for c in verdict.cases
    ]  # fmt: skip
    for k in verdict.kernels:
        lines.append(
            f"  {k.symbol}: {k.vgprs} VGPRs, {k.spills} spilled, {k.shared_bytes} B LDS, {k.occupancy} waves a "
            f"scheduler, {k.matrix_ops} matrix instructions"
        )
    return "\n".join(lines)
