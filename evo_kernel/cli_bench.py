"""Commands that compare policies: on landscapes that somebody measured, where a whole search costs seconds."""

import json
from pathlib import Path
from typing import Any

import click

from evo_kernel.cli_options import say

EVALUATIONS = 200


@click.group()
def bench() -> None:
    """Compare policies of the search with each other and with other programs."""


def _share(context: click.Context, parameter: click.Parameter, value: float) -> float:
    if not 0 <= value < 1:
        raise click.BadParameter(f"expected a number of at least 0 and below 1, got {value}")
    return value


@bench.command()
@click.argument("folder", type=click.Path(path_type=Path), metavar="DIR")
@click.option("--seeds", type=click.IntRange(min=1), default=10, show_default=True, help="Searches on each table.")
@click.option("--policy", default="tuner", show_default=True, help="Of the engine, by name.")
@click.option("--noise", type=float, callback=_share, default=0.0, help="Standard deviation of a time, relative [0].")
@click.option("--failures", type=float, callback=_share, default=0.0, help="Share of evaluations made to fail [0].")
@click.option("--table", "tables", multiple=True, help="Only tables of this name; may be given several times.")
@click.option("--evaluations", type=click.IntRange(min=2), default=EVALUATIONS, show_default=True, help="A search.")
@click.option("--first-seed", type=click.IntRange(min=0), default=0, help="Begin with this seed [0].")
@click.option(
    "--kernel-tuner",
    "strategies",
    multiple=True,
    metavar="STRATEGY",
    help="Run this strategy of Kernel Tuner here; may be given several times.",
)
@click.option("--workers", type=click.IntRange(min=1), default=1, show_default=True, help="Processes.")
@click.option("--runs", "kept", type=click.Path(path_type=Path), help="Keep the runs here, and go on with those found.")
@click.option("--plot", type=click.Path(path_type=Path), help="Write the curves as .svg or .png.")
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON.")
def landscapes(folder: Path, seeds: int, first_seed: int, tables: tuple[str, ...], plot: Path | None,
               as_json: bool, **given: Any) -> None:  # fmt: skip
    """Replay searches on the measured tables of a folder DIR: optimum over best so far, beside Kernel Tuner.

    \b
    Examples:
      evo-kernel bench landscapes tables --seeds 50
      evo-kernel bench landscapes tables --policy best-of-n --json
      evo-kernel bench landscapes tables --noise 0.02 --failures 0.1 --plot curves.svg

    Every search goes through the real search and its journal; only the judge looks times up. The program it begins
    with counts as its first evaluation. A failure made by --failures is final for its configuration, and figures are
    shares of the best that may succeed. Kernel Tuner's figures are read from a file kernel_tuner_*.json beside the
    tables; with --kernel-tuner they are made here in its simulation mode, with the same seeds, noise and failures.
    """
    from evo_kernel import landscapes_bench, landscapes_report

    wanted = landscapes_bench.Wanted(folder, range(first_seed, first_seed + seeds), tables, **given)
    if plot is not None:
        landscapes_bench.check_plot(plot)
    found, peers = landscapes_bench.compare(wanted, say)
    document = landscapes_report.summary(wanted.policy, wanted.evaluations, found, peers, wanted.strategies)
    click.echo(json.dumps(document, indent=2) if as_json else landscapes_report.text(document))
    if plot is not None:
        landscapes_bench.draw(plot, found, wanted)
