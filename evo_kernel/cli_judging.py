"""Commands about one program, one task or one machine: measure, judge, tasks, doctor."""

import json
import sys
from pathlib import Path
from typing import Any

import click

from evo_kernel.cli_options import basis_option, isolation_option, mode_option, root_option, say


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--top", type=click.IntRange(min=1), default=5, show_default=True, help="How many elites.")
@click.option("--json", "as_json", is_flag=True, help="Print what was measured as JSON.")
def measure(run: Path, top: int, as_json: bool) -> None:
    """Measure the elites of a RUN on this machine's GPU, beside the seed, and write it into the run.

    What fails on the device is shown as that, and is no elite any more.

    \b
    Examples:
      evo-kernel measure runs/softmax-h200-1
      evo-kernel measure runs/softmax-h200-1 --top 20 --json
    """
    from evo_kernel import measurement, report

    rows = measurement.measure(run, top, say)
    if as_json:
        found = [{"id": i, "failure": report.failure(e), **report.verdict(e)} for i, e in rows]
        click.echo(json.dumps(found, indent=2))
    else:
        click.echo(measurement.table(rows))
    if not any(e.passed for _, e in rows):
        sys.exit(1)


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--task", required=True, help="Task name or task file.")
@click.option("--target", help="Chip to compile for [this machine's GPU, or mi300].")
@basis_option
@mode_option
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of the inputs of a prediction.")
@click.option("--held-out", is_flag=True, help="Judge the held-out cases too.")
@click.option("--json", "as_json", is_flag=True, help="Print the verdict as JSON.")
@root_option
@isolation_option
def judge(file: Path, task: str, root: Path | None, held_out: bool, as_json: bool, **given: Any) -> None:
    """Judge one program FILE of a task and print the verdict gate by gate.

    \b
    Examples:
      evo-kernel judge kernels/softmax_mi300_1a2b3c4d.py --task softmax --held-out
      evo-kernel judge mine.py --task softmax --basis measured --json
      evo-kernel judge theirs.py --task softmax --mode open        a launcher that computes on the host
    """
    from evo_kernel import config_files, isolation, machine, tasks
    from evo_kernel.suite import tasks as suite_tasks

    settings = machine.resolve(config_files.load(None, {**given, "pool": "inline"}), say)
    try:
        source = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise click.ClickException(f"cannot read {file}: {error}") from error
    what = suite_tasks.find(task, root)
    isolation.require_here(settings)
    passed = tasks.judge_file(what, source, settings, held_out, as_json=as_json)
    sys.exit(0 if passed else 1)


@click.group(invoke_without_command=True)
@click.pass_context
def tasks(context: click.Context) -> None:
    """List, show, make and check tasks."""
    if context.invoked_subcommand is None:
        _list()


def _list() -> None:
    """Print a line for every native task."""
    from suites import load, names

    for name in names():
        task = load(name)
        click.echo(f"{name:<22} {task.level or '-'} {task.category or '-':<15} {task.about.splitlines()[0]}")


@tasks.command("list")
def tasks_list() -> None:
    """List the native tasks: name, level, category, what each computes."""
    _list()


@tasks.command("show")
@click.argument("task", metavar="TASK|FILE")
@root_option
def tasks_show(task: str, root: Path | None) -> None:
    """Show a task: words, cases, held-out cases, seed kernels."""
    from evo_kernel import tasks as module
    from evo_kernel.suite import tasks as suite_tasks

    click.echo(module.describe(suite_tasks.find(task, root)))


@tasks.command("new")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
def tasks_new(file: Path) -> None:
    """Write a commented template of a task to FILE (which must not exist)."""
    from evo_kernel import tasks as module

    module.write_template(file)
    named = file if file.suffix == ".py" or len(file.parts) > 1 else f"./{file}"  # a bare name is a native task's
    click.echo(f"wrote {file}; edit it, then: evo-kernel tasks check {named}")


@tasks.command("check")
@click.argument("task", metavar="TASK|FILE")
@click.option("--target", help="Chip to compile for [this machine's GPU, or mi300].")
@basis_option
@click.option(
    "--mutate", is_flag=True, help="Change the reference and the seeds in one place each, and judge these too."
)
@click.option("--most", type=click.IntRange(min=1), default=40, show_default=True,
              help="Mutants of the reference, and of each seed.")  # fmt: skip
@isolation_option
def tasks_check(task: str, mutate: bool, most: int, **given: Any) -> None:
    """Check that a task can be used: its parts, what wrong programs would pass, and every seed on every case.

    With --mutate: drop a mask, skip a tile, change a constant, lower a precision, swap an axis, launch too few
    programs, and name what no case, held-out case or edge kills, and how many of all that there are were tried. That is
    done in jails under the interpreter and takes minutes.
    """
    from evo_kernel import config_files, isolation, machine
    from evo_kernel import tasks as module

    settings = machine.resolve(config_files.load(None, {**given, "pool": "inline"}), say)
    isolation.require_here(settings)
    what = module.lint(task)
    if what is None:
        sys.exit(1)
    results = [module.judge_file(what, s.source, settings, held_out=True, title=f"seed {s.name}") for s in what.seeds]
    if not all(results):
        sys.exit(1)
    if mutate and not module.mutate(what, settings, most):
        sys.exit(1)
    click.echo(f"task {what.name} can be used: evo-kernel search {task}")


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print the findings as JSON.")
@click.option("--calibrate", is_flag=True, help="Measure the GPU's noise and ceilings, and keep them.")
@click.option(
    "--model", "models", multiple=True, help="Ask this model one word: PROVIDER:NAME, or PROVIDER:NAME@URL; repeatable."
)
@click.option("--config", "config_file", help="Try the models of this TOML file too.")
def doctor(as_json: bool, calibrate: bool, models: tuple[str, ...], config_file: str | None) -> None:
    """Say what this machine can do: packages, GPU, targets, isolation, providers, and what is missing.

    \b
    Examples:
      evo-kernel doctor --model anthropic:NAME --model openai:NAME@URL
      evo-kernel doctor --model mailbox:FOLDER       writes no prompt: says whether it could
      evo-kernel doctor --config my.toml             every [[models]] table
    """
    from evo_kernel import config_files, gpus
    from evo_kernel import doctor as module
    from operators.llm.settings import made

    chosen = made((*(config_files.load(config_file, {}).models if config_file else ()), *models))
    if calibrate:
        gpus.calibrate(say if as_json else click.echo)
    findings = []
    for finding in module.examine(chosen):
        findings.append(finding)
        if not as_json:
            mark = {True: "ok", False: "MISSING", None: "-"}[finding.works]
            click.echo(f"{mark:<8} {finding.topic:<16} {finding.detail}")
    if as_json:
        click.echo(json.dumps([{"topic": f.topic, "works": f.works, "detail": f.detail} for f in findings], indent=2))
    if any(f.works is False for f in findings):
        sys.exit(1)
