"""Commands about other people's benchmarks: what there is, what a checkout holds, what of it runs here."""

import json
from pathlib import Path

import click

from evo_kernel.cli_options import Finite
from evo_kernel.cli_suite_runs import suite_judge, suite_report, suite_run


@click.group()
def suite() -> None:
    """Read the benchmarks of others from their checkouts, which are never written to."""


_root = click.option(
    "--root", type=click.Path(path_type=Path), metavar="CHECKOUT", help="Root of the suite's checkout."
)


@suite.command("list")
@click.argument("name", required=False)
@_root
def suite_list(name: str | None, root: Path | None) -> None:
    """List the suites that can be read, and what is looked for in a checkout; or the tasks of the suite NAME.

    \b
    Examples:
      evo-kernel suite list
      evo-kernel suite list native
      evo-kernel suite list rocm --root GEAK-eval

    Without NAME it exits with 1 where a suite that plugs in cannot be used, after all others, with the reason.
    """
    import sys

    from evo_kernel.cli_options import say
    from evo_kernel.suite import survey as suite_survey

    if name is not None:
        click.echo("\n".join(suite_survey.listed(suite_survey.survey(name, root).tasks)))
        return
    if root is not None:
        raise click.UsageError("--root is of one suite: name it, as in `suite list rocm --root GEAK-eval`")
    found, broken = suite_survey.known()
    for name, about, looks_for in found:
        click.echo(f"{name:<20} {about}")
        if looks_for:
            click.echo(f"{'':<20} looks for {', '.join(looks_for)}")
    for reason in broken:
        say(f"evo-kernel: {reason}")
    sys.exit(1 if broken else 0)


@suite.command("show")
@click.argument("name")
@_root
@click.option("--tasks", "every", is_flag=True, help="List every task too.")
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON.")
def suite_show(name: str, root: Path | None, every: bool, as_json: bool) -> None:
    """Show what a checkout of the suite NAME holds: tasks by level, and why any cannot be used.

    \b
    Examples:
      evo-kernel suite show tritonbench-revised --root GEAK-eval
      evo-kernel suite show kernelbench --root KernelBench --json
      evo-kernel suite show native --tasks

    Files are read as text; nothing of theirs is run.
    """
    from evo_kernel.suite import survey as suite_survey

    found = suite_survey.survey(name, root)
    click.echo(json.dumps(suite_survey.plain(found), indent=2) if as_json else suite_survey.text(found, every))


@suite.command("check")
@click.argument("name")
@_root
@click.option("--task", "names", multiple=True, metavar="TASK", help="Only this task; may be given several times.")
@click.option("--limit", type=click.IntRange(min=1), help="Only the first so many tasks.")
@click.option("--workers", type=click.IntRange(min=1), default=1, show_default=True, help="Tasks at once.")
@click.option("--seconds", type=Finite(0, 86400, min_open=True), default=170.0, show_default=True,
              help="Of the processor, for one task.")  # fmt: skip
@click.option("--results", type=click.Path(dir_okay=False, path_type=Path),
              help="Keep results in this file, and do not check again what is in it.")  # fmt: skip
@click.option("--turn/--no-turn", default=True, show_default=True, help="Make tasks of ours of them too.")
@click.option("--quiet", is_flag=True, help="Show no progress.")
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON.")
def suite_check(name: str, root: Path | None, names: tuple[str, ...], limit: int | None, as_json: bool, quiet: bool,
                workers: int, seconds: float, results: Path | None, turn: bool) -> None:  # fmt: skip
    """Run the references of the suite NAME without a GPU, and ask whether their tests test anything.

    \b
    Examples:
      evo-kernel suite check tritonbench-revised --root GEAK-eval --workers 4 --results checked.jsonl
      evo-kernel suite check rocm --root GEAK-eval --task gemm --json

    Each runs in a jail under Triton's interpreter, first with every launch left out: where their own comparison takes
    that result for right, the task is flagged. Then it runs under another seed, and on memory that holds NaN where
    nobody wrote, and last it is made a task of ours. PyTorch modules are called on tensors that hold nothing, and on
    their own inputs where a minute and this machine's memory are enough, else on smaller ones, which are named: they
    are flagged where zeros would pass. What is flagged is quarantined, no task of ours; a module only where zeros pass
    our own gates too, since nothing of its test is in our task.
    Exits with 0 once all was checked, whatever was found; what was lost with its jail is asked again the next time.
    """
    from evo_kernel.cli_options import remark, say
    from evo_kernel.errors import RunError
    from evo_kernel.suite import check as module
    from evo_kernel.suite import folder
    from evo_kernel.suite import survey as suite_survey

    folder.require_outside(name, root, {"results file": results})
    survey = suite_survey.survey(name, root)
    tasks = suite_survey.chosen(survey.tasks, names)[:limit]
    suite_survey.require_theirs(tasks, root)
    remark(name, survey.notes)
    wanted = module.Wanted(workers, seconds, results, name if turn else "")
    found = module.run(tasks, wanted, (lambda _: None) if quiet else say)
    click.echo(json.dumps(module.plain(name, found), indent=2) if as_json else module.text(name, found))
    if lost := [one.name for one in found if module.lost(one)]:
        raise RunError(f"not checked, as their jails were lost: {', '.join(lost)}; run the same command again")


for command in (suite_run, suite_report, suite_judge):
    suite.add_command(command)
