"""Commands about what runs hold: the best programs as files, and two archives as one."""

import itertools
import json
import sys
from pathlib import Path

import click

from evo_kernel.cli_running import exported, tell_exported


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--top", type=click.IntRange(min=1), default=1, show_default=True, help="How many programs.")
@click.option("--out", type=click.Path(path_type=Path), help="Folder to write into [RUN/exported].")
@click.option("--trajectories", type=click.Path(dir_okay=False, path_type=Path),
              help="Write what was said to models instead: prompt, reply, verdict and gain, a line each.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print what was written as JSON.")
def export(run: Path, top: int, out: Path | None, trajectories: Path | None, as_json: bool) -> None:
    """Write the best programs of a RUN as files that need torch and triton alone.

    Each is first judged on the task's held-out cases, which no operator ever saw. On a GPU its own launcher then
    runs once in open mode: it must return the same results, and what a call costs the host is written beside its times.

    \b
    Example:
      evo-kernel export runs/softmax-mi300-1 --top 3 --out kernels
    """
    from evo_kernel import api

    if trajectories is not None:
        _export_trajectories(run, trajectories, as_json)
        return
    found = api.Run(run).export(top, out)
    if as_json:
        click.echo(json.dumps([exported(e) for e in found], indent=2))
    else:
        tell_exported(found)
    if not any(e.path for e in found):
        sys.exit(1)


def _export_trajectories(run: Path, file: Path, as_json: bool) -> None:
    from evo_kernel.trajectories import write

    count = write(run, file)
    click.echo(json.dumps({"path": str(file), "rows": count}) if as_json else f"wrote {count} answered turns to {file}")


@click.group()
def archive() -> None:
    """Work with the archives of whole runs."""


@archive.command("merge")
@click.argument("one", type=click.Path(path_type=Path))
@click.argument("other", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), help="Folder of the merged run [merged-N beside the first].")
def merge(one: Path, other: Path, out: Path | None) -> None:
    """Make one run of two runs of the same task and target, judged alike: in one mode, for the same objectives.

    It goes on as the first would, by its settings, models and limits, which count what both have used; other limits of
    the second are named and left out (give them to `resume`). Its budget is the evaluations of both together.

    \b
    Example:
      evo-kernel archive merge runs/softmax-mi300-1 runs/softmax-mi300-2 --out runs/both
    """
    from evo_kernel import merging, report

    if out is None:
        places = (one.resolve().parent / f"merged-{number}" for number in itertools.count(1))
        out = next(place for place in places if not place.exists())
    click.echo(report.text(merging.merge(one, other, out)))
    click.echo(f"merged into {out}")
