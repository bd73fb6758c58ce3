"""What the command line does with tasks: describe one, write a template, judge one program of it."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from evo_kernel import verdict
from evo_kernel.config import Settings
from evo_kernel.errors import RunError
from evo_kernel.pools import judge_now, one_judge
from suites import Case, Task
from suites.loading import ALIASES, TEMPLATE, find
from suites.task import LEVELS, Input
from suites.trials import interpretable

if TYPE_CHECKING:
    from fitness.lint import Finding


def describe(task: Task) -> str:
    """Return a task in words and numbers."""
    lines = [
        task.about.strip(),
        "",
        *_place(task),
        f"launcher: {task.entry}",
        f"seeds: {', '.join(s.name for s in task.seeds) or 'none: a search begins with a model'}",
    ]
    lines.append(f"honest implementations beside the reference: {', '.join(task.honest) or 'none'}")
    lines += [f"{what}: {told}" for what, told in _allowed(task) if told]
    for title, cases in (("cases", task.cases), ("held-out cases", task.held_out)):
        lines.append(f"{title}:")
        lines += [_case(c) for c in cases]
    if task.edges:
        lines.append("edges, for correctness alone:")
        lines += [
            f"  {e.name:<28} {_arguments(e)}{'' if interpretable(e) else '  (on a GPU only)'}" for e in task.edges
        ]
    return "\n".join(lines)


def _place(task: Task) -> list[str]:
    """Say what kind of work it is and how hard, and what else it is called."""
    also = [alias for alias, name in ALIASES.items() if name == task.name]
    level = f"{task.level} of {LEVELS[-1]}" if task.level else ""
    told = {"category": task.category, "level": level, "also known as": ", ".join(also)}
    return [f"{what}: {said}" for what, said in told.items() if said]


def _allowed(task: Task) -> tuple[tuple[str, str], ...]:
    """Say what the task asks of results, and what it allows."""
    return (
        ("exact", "from inputs of -1, 0 and 1 every result must be right bit for bit" if task.exact else ""),
        ("rounded once", _rounded_once(task)),
        ("atomics", "results may differ between runs in their last bits" if task.atomics else ""),
        ("in place", f"{', '.join(task.in_place)} may be overwritten and returned" if task.in_place else ""),
        ("tf32", "dots of float32 may round their operands to tf32" if task.tf32 else ""),
    )


def _rounded_once(task: Task) -> str:
    share = task.misrounded
    return "" if share is None else f"all but {100 * share:g}% of the elements, where sums are exact"


def _case(case: Case) -> str:
    return f"  {case.name:<28} {case.flops / 1e9:>9.3f} GFLOP {case.bytes / 1e6:>9.2f} MB  {_arguments(case)}"


def _arguments(case: Case) -> str:
    return ", ".join(_input(n, a) if isinstance(a, Input) else f"{n}={a}" for n, a in case.inputs.items())


def _input(name: str, a: Input) -> str:
    """Describe one tensor argument."""
    order = "" if a.order is None or a.order == tuple(range(len(a.shape))) else f" stored {list(a.order)}"
    pad = f" padded by {a.pad}" if a.pad else ""
    return f"{name} {a.dtype}{list(a.shape)} {a.distribution}{order}{pad}"


def check(text: str, name: str, origin: str) -> "tuple[Task, tuple[Finding, ...]]":
    """Read a task's file and lint it, both in a process of its own."""
    from fitness import checking
    from fitness.jail import WorkerLost

    try:
        return checking.check(text, name, origin)
    except WorkerLost as error:
        raise RunError(f"this machine cannot check tasks now: {error}") from error


def lint(name_or_path: str) -> Task | None:
    """Print what wrong and honest programs come to under a task's trials; return the task if it may be used."""
    from fitness.lint import doubts, faults

    task, findings = check(*find(name_or_path))
    for finding in findings:
        click.echo(f"  {finding.name:<32} {finding.state}: {finding.detail}")
    for doubt in doubts(findings):
        click.echo(f"task {task.name}, unless it is meant so: {doubt}")
    found = faults(findings)
    for fault in found:
        click.echo(f"task {task.name} cannot be used: {fault}")
    return None if found else task


def mutate(task: Task, settings: Settings, most: int) -> bool:
    """Print which mutants of a task's reference and seeds its cases do not kill; return whether enough are killed."""
    from fitness import mutating, mutation
    from fitness.jail import WorkerLost

    try:
        found = mutating.mutate(task, settings.target, most, settings.seed, click.echo)
    except WorkerLost as error:
        raise RunError(f"this machine cannot run mutants now: {error}") from error
    for one in found.tried:
        if one.state not in (mutation.KILLED, mutation.FAULTED, mutation.BROKEN):
            click.echo(f"  {one.state:<9} {one.of}, {one.mutant.said} ({one.detail})")
    share = mutating.share(found.tried)
    counts = ", ".join(
        f"{sum(t.state == state for t in found.tried)} {said}"
        for state, said in ((mutation.KILLED, "killed by their values"), (mutation.FAULTED, "by a fault alone"),
                            (mutation.SURVIVED, "survived"),
                            (mutation.EQUAL, "give the original's very bytes in all trials"),
                            (mutation.AS_RIGHT, "differ and err no more than honest programs"),
                            (mutation.BROKEN, "do not run"), (mutation.UNTRIED, "cannot be tried"))
    )  # fmt: skip
    rest = f" (the others with a larger --most than {most})" if len(found.tried) < found.made else ""
    click.echo(f"mutants of {task.name}: {len(found.tried)} of {found.made} tried{rest}: {counts}")
    if share is None:
        click.echo("none of them is worse and runs: this says nothing about the task's cases")
        return True
    click.echo(f"{share:.1%} of those that are worse and run are killed")
    if share < mutating.WANTED:
        click.echo(f"less than {mutating.WANTED:.0%}: add cases, edges or distributions in which the survivors matter")
    return share >= mutating.WANTED


def write_template(file: Path) -> None:
    """Copy the commented template; an existing file is never overwritten."""
    try:
        with open(file, "x", encoding="utf-8") as target:
            target.write(TEMPLATE.read_text(encoding="utf-8"))
    except FileExistsError as error:
        raise RunError(f"{file} exists already; give another name") from error
    except OSError as error:
        raise RunError(f"cannot write {file}: {error}") from error


def judge_file(task: Task, source: str, settings: Settings, held_out: bool, title: str = "program",
               as_json: bool = False) -> bool:  # fmt: skip
    """Judge one program, print the verdict gate by gate, and return whether it passed."""
    cases = (*task.cases, *task.held_out) if held_out else task.cases
    judge = one_judge(task, settings)
    try:
        seed = task.seeds[0].source if task.seeds else source
        against = {} if seed == source else {"baseline": seed}
        judged = judge_now(judge, source, cases, against, confirm=True)
        seconds = dict(judge.seconds)
    finally:
        judge.close()
    if as_json:
        click.echo(json.dumps(verdict.plain(task, cases, judged, seconds), indent=2))
    else:
        click.echo(verdict.text(title, task, cases, judged, seconds))
    return judged.passed
