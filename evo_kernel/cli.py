"""The command line. Heavy modules load inside the commands: `--help` takes 0.1 s, torch alone would take 2."""

import json
import logging
import sys
from pathlib import Path
from typing import Any

import click

from evo_kernel.cli_archive import archive, export
from evo_kernel.cli_bench import bench
from evo_kernel.cli_judging import doctor, judge, measure, tasks
from evo_kernel.cli_llm import priced, prompt
from evo_kernel.cli_options import (
    LIMITS,
    Finite,
    basis_option,
    budget_options,
    machine_options,
    mechanism_options,
    mode_option,
    model_option,
    price_option,
    root_option,
    say,
)
from evo_kernel.cli_rewrites import rewrites
from evo_kernel.cli_running import as_typed, drive
from evo_kernel.cli_suite import suite

DEFAULT_TASK = "softmax"
UNDRIVEN = 30.0  # seconds that `watch` waits for a driver: a search starts its workers before it takes up its run


class Cli(click.Group):
    """Prints an expected error as one line and exits with its status."""

    def invoke(self, context: click.Context) -> Any:
        """Run a command; anything but an expected error is a bug and keeps its traceback."""
        try:
            return super().invoke(context)
        except Exception as error:
            status = _expected(error)
            if status is None:
                raise
            click.echo(f"evo-kernel: {error}", err=True)
            sys.exit(status)


def _expected(error: Exception) -> int | None:
    """Return the exit status of an error a person can act on."""
    if isinstance(error, (click.ClickException, click.exceptions.Exit, click.Abort)):
        return None
    from archives.journal import JournalError
    from evo_kernel.errors import ConfigError, EvoKernelError
    from fitness.gpu.court import DeviceUnavailable
    from fitness.targets import TargetError
    from operators.llm.errors import ModelError
    from operators.llm.lessons import LessonsError
    from operators.llm.model import ModelSpecError
    from suites.foreign import SuiteError
    from suites.loading import TaskError

    if isinstance(error, (ConfigError, TargetError, ModelSpecError)):
        return 2
    known = (EvoKernelError, JournalError, TaskError, SuiteError, DeviceUnavailable, ModelError, LessonsError)
    return 1 if isinstance(error, known) else None


@click.group(cls=Cli, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="evo-kernel", prog_name="evo-kernel")
@click.option("-v", "--verbose", is_flag=True, help="Log what happens inside, to stderr.")
def main(verbose: bool) -> None:
    """Search for correct, fast Triton kernels.

    \b
    Examples:
      evo-kernel search softmax --generations 20 --target mi300
      evo-kernel resume runs/softmax-mi300-1
      evo-kernel export runs/softmax-mi300-1 --top 3 --out kernels
    """
    logging.basicConfig(
        level=logging.DEBUG if verbose else logging.WARNING, format="%(levelname)s %(name)s: %(message)s"
    )


@main.command()
@click.argument("task", default=DEFAULT_TASK, metavar="[TASK|FILE]")
@click.option("--generations", type=click.IntRange(min=1), help="Generations of --population evaluations each [20].")
@click.option("--population", type=click.IntRange(min=1), help="Evaluations in a generation [8].")
@click.option("--target", help="Chip: mi300, mi250, gfx950, h100 or h200 [this machine's GPU, or mi300].")
@basis_option
@mode_option
@click.option("--seed", type=click.IntRange(min=0), help="Of every random choice [0].")
@click.option("--policy", help="archive, best-of-n, sequential, restarts or islands [archive].")
@click.option("--operators", help="Names with commas between: rewrite (see `rewrites`), dispatch (one program or "
              "another by shape), knob-step, knob-cross, knob-tune [these], rewrite-cross; this and knob-cross want "
              "--with crossover.")  # fmt: skip
@click.option("--objectives", help="latency; with commas, error and portability too: parents then weigh all [latency].")
@click.option("--constraint", "constraints", multiple=True, metavar="CONDITION",
              help="On knobs, such as 'BLOCK_M * BLOCK_N <= 16384'; may be repeated.")  # fmt: skip
@click.option("--also", help="Targets on which programs must pass too, predicted: mi250, or several with commas.")
@model_option
@price_option
@mechanism_options
@budget_options
@click.option("--run", "run", type=click.Path(path_type=Path), help="Folder of the run [runs/TASK-TARGET-N].")
@click.option("--config", "config_file", help="TOML file, or the name of a shipped one: quick, mi250, mi300.")
@click.option(
    "--seed-from",
    type=click.Path(path_type=Path),
    help="Begin with another run's elites too (where the launcher is the same), and what it knew of rewrites.",
)
@click.option("--prior/--no-prior", default=None,
              help="Draw rewrites by what searches of other tasks saw on the target, where measured [on].")  # fmt: skip
@click.option("--port", type=click.Path(exists=True, dir_okay=False, path_type=Path),
              help="A kernel in another language that a model ports; its text is kept in the run.")  # fmt: skip
@root_option
@machine_options
def search(task: str, root: Path | None, run: Path | None, config_file: str | None, seed_from: Path | None,
           as_json: bool, quiet: bool, without: tuple[str, ...], having: tuple[str, ...],
           **given: Any) -> None:  # fmt: skip
    """Search for a faster kernel of a TASK (by name) or of a task FILE.

    \b
    Examples:
      evo-kernel search                                  the default task, no GPU needed
      evo-kernel search gemm_fp16 --target mi250 --generations 40
      evo-kernel search my_task.py --config quick --pool inline --seed 7
      evo-kernel search softmax --seed-from runs/softmax-mi300-1
      evo-kernel search softmax --policy restarts --max-minutes 10 --stop-at-roofline 0.9
      evo-kernel search softmax --with halving --without crossover
      evo-kernel search tritonbench-revised/sin_kernel --root GEAK-eval
      evo-kernel search softmax --model anthropic:NAME --price anthropic:NAME=3/15 --max-cost 5
      evo-kernel search my_task.py --model openai:NAME@URL --max-calls 50 --port kernel.cu

    On a GPU, programs run and times are measured, interleaved with the seed and the best so far. Without one,
    correctness is checked under Triton's interpreter and times are predicted from compiled code.
    """
    from evo_kernel import api, config_files, idle, isolation, machine, rules, runs, talks
    from evo_kernel.suite import folder as suite_folder
    from evo_kernel.suite import tasks as suite_tasks

    if both := set(without) & set(having):
        raise click.UsageError(f"--with and --without both name {', '.join(sorted(both))}")
    given["models"] = priced(given["models"], given.pop("prices")) or None
    given["constraints"] = given["constraints"] or None
    given["port"] = given["port"] and config_files.text(given["port"])
    settings = machine.resolve(config_files.load(config_file, {**given, **rules.switched(without, having)}), say)
    idle.check_mechanisms(settings, having)
    idle.check(settings, [name for name, value in given.items() if value is not None], say)
    suite_folder.require_outside(task.partition("/")[0], root, suite_folder.places(run or Path("runs"), settings))
    what = suite_tasks.find(task, root, settings)
    isolation.require_here(settings)
    talks.require(settings, what)
    folder = run or api.free_folder(what.name, settings.target)
    start = runs.start_from(seed_from, what) if seed_from else runs.Start()
    runs.begin(folder, settings, what, start)
    talks.settle(folder, settings, what)
    if seed_from and not start.programs:
        say(f"{seed_from} has another launcher: only what it knows of rewrites is taken from it")
    claimed = ", untrusted-host: claims of each program's own process" if settings.mode == "open" else ""
    say(f"searching {what.name} for {settings.target} in {folder}; times are {settings.basis}{claimed}")
    drive(folder, settings, as_json, quiet)


@main.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--generations", type=int, help="Go on to this many generations in all.")
@budget_options
@price_option
@machine_options
def resume(
    run: Path, generations: int | None, prices: tuple[str, ...], as_json: bool, quiet: bool, **given: Any
) -> None:
    """Go on with a RUN where it stopped; nothing judged is judged again.

    \b
    Examples:
      evo-kernel resume runs/softmax-mi300-1
      evo-kernel resume runs/softmax-mi300-1 --generations 60 --max-minutes 30
      evo-kernel resume runs/softmax-mi300-1 --price openai:NAME=0.5/2 --max-cost 5
    """
    from evo_kernel import api

    limits = {name: given.pop(name) for name in LIMITS}
    settings = api.reopened(run, generations, given, limits, prices)
    drive(run, settings, as_json, quiet)


@main.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option(
    "--operators", is_flag=True, help="Show what became of each operator's programs, and of each family of rewrites."
)
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON.")
def show(run: Path, as_json: bool, operators: bool) -> None:
    """Show a RUN: the best so far, elites, failures by stage, lineage. Works while the run goes on.

    \b
    Examples:
      evo-kernel show runs/softmax-mi300-1
      evo-kernel show runs/softmax-mi300-1 --operators
    """
    from evo_kernel import credit, report, runs

    state = runs.read(run)
    if operators:
        rows = state.search.credit.rows()
        click.echo(json.dumps(rows, indent=2) if as_json else credit.table(rows))
    else:
        click.echo(json.dumps(report.summary(state), indent=2) if as_json else report.text(state))


@main.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--every", type=Finite(min=0.1), default=2.0, show_default=True, help="Seconds between looks.")
def watch(run: Path, every: float) -> None:
    """Follow a RUN that another process drives, until it is done, or nobody has driven it for half a minute."""
    from time import monotonic, sleep

    from evo_kernel import report, runs, stopping
    from evo_kernel.errors import RunError

    driven = monotonic()
    while True:
        state = runs.read(run)
        summary = report.summary(state)
        best, basis = summary["best"], summary["basis"]
        shown = "none yet" if best is None else f"{best[f'{basis}_us']:.2f} us {basis}, {summary['mode']}"
        click.echo(
            f"evaluations {summary['evaluations']}/{summary['budget']}  best {shown}  failures {summary['failures']}"
        )
        if summary["done"]:
            click.echo(f"ended: {stopping.WORDS[summary['stop']]}")
            return
        if runs.driven(run):
            driven = monotonic()
        elif monotonic() - driven >= UNDRIVEN:
            said = f"nobody has driven {run} for {UNDRIVEN:.0f} seconds, and it is not over"
            raise RunError(f"{said}; go on with it: {as_typed()} resume {run}")
        sleep(every)


for command in (measure, judge, tasks, suite, doctor, bench, prompt, rewrites, export, archive):
    main.add_command(command)

if __name__ == "__main__":
    main()
