"""Commands about language models: show the prompts that operators send."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from evo_kernel.cli_options import basis_option, isolation_option, say


@click.command()
@click.argument("task", required=False, metavar="[TASK|FILE]")
@click.option("--operator", default="optimize", show_default=True,
              help="generate, reflect, optimize, recombine or strategise.")  # fmt: skip
@click.option("--run", "run", type=click.Path(path_type=Path), help="Show it in the present state of this run.")
@click.option("--program", type=click.Path(exists=True, dir_okay=False, path_type=Path),
              help="The program to repair or improve [the task's seed].")  # fmt: skip
@click.option("--port", type=click.Path(exists=True, dir_okay=False, path_type=Path),
              help="A kernel in another language that `generate` is to port.")  # fmt: skip
@click.option("--size", "context", type=click.IntRange(min=4000),
              help="Most characters; rules, chip, task and 1000 more are never cut [the run's, or 60000].")  # fmt: skip
@click.option(
    "--config", "config_file", help="TOML file whose lessons, archives and other settings a search would use."
)
@click.option("--target", help="Chip: mi300, mi250, gfx950, h100 or h200 [this machine's GPU, or mi300].")
@click.option("--json", "as_json", is_flag=True, help="Print system text and prompt as JSON.")
@basis_option
@isolation_option
def prompt(task: str | None, operator: str, run: Path | None, program: Path | None, port: Path | None,
           config_file: str | None, context: int | None, as_json: bool, **given: Any) -> None:  # fmt: skip
    """Print exactly what a model would see, for a TASK or in a run; nothing is sent anywhere.

    \b
    Examples:
      evo-kernel prompt softmax --operator reflect
      evo-kernel prompt softmax --operator optimize --program mine.py --target mi250
      evo-kernel prompt --run runs/softmax-mi300-1 --operator recombine
    """
    from evo_kernel import config_files, isolation, machine, prompts
    from suites import load

    if (task is None) == (run is None):
        raise click.UsageError("give a TASK, or --run RUN, and not both")
    if run is not None:
        if program is not None or port is not None:
            raise click.UsageError("--program and --port belong to a TASK; a run has programs of its own")
        shown = prompts.of_run(run, operator, context)
    else:
        settings = machine.resolve(config_files.load(config_file, {**given, "context": context, "pool": "inline"}), say)
        isolation.require_here(settings)
        program_text, port_text = (None if file is None else config_files.text(file) for file in (program, port))
        shown = prompts.of_task(load(task or ""), operator, settings, program_text, port_text)
    plain = {"system": shown.system, "prompt": shown.text}
    click.echo(json.dumps(plain, indent=2) if as_json else f"{shown.system}\n{shown.text}")


def priced(models: Sequence[str], prices: Sequence[str]) -> list[str | dict[str, str]]:
    """Give the models of a command line the prices that stand beside them."""
    from operators.llm import settings

    found = settings.priced(models, prices)
    return [{"model": model, **found[model]} if model in found else model for model in models]
