"""Commands about other people's benchmarks: what there is, what a checkout holds, what of it runs here."""

import json
from pathlib import Path

import click


@click.group()
def suite() -> None:
    """Read the benchmarks of others from their checkouts, which are never written to."""


_root = click.option(
    "--root", type=click.Path(path_type=Path), metavar="CHECKOUT", help="Root of the suite's checkout."
)


@suite.command("list")
def suite_list() -> None:
    """List the suites that can be read, and what is looked for in a checkout."""
    from evo_kernel import suite_survey

    for name, about, looks_for in suite_survey.known():
        click.echo(f"{name:<20} {about}")
        if looks_for:
            click.echo(f"{'':<20} looks for {', '.join(looks_for)}")


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
    from evo_kernel import suite_survey

    found = suite_survey.survey(name, root)
    click.echo(json.dumps(suite_survey.plain(found), indent=2) if as_json else suite_survey.text(found, every))
