"""The command that shows the families of rewrites, and applies one by hand."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from evo_kernel.rewriting import Family


@click.command()
@click.argument("program", required=False, metavar="[TASK|FILE]")
@click.option("--apply", "family", metavar="FAMILY", help="Print the program after this family's rewrite.")
@click.option("--place", type=click.IntRange(min=1), help="Only at this place, as numbered in the list [all].")
@click.option("--diff", is_flag=True, help="Print the difference instead of the program.")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="Write the program to this new file.")
@click.option("--json", "as_json", is_flag=True, help="Print the list as JSON.")
def rewrites(program: str | None, family: str | None, place: int | None, diff: bool, out: Path | None,
             as_json: bool) -> None:  # fmt: skip
    """List the families of structural rewrites, and where each applies in a program FILE or in a TASK's seed.

    A search draws them by itself; here they are applied by hand. Nothing is judged: `evo-kernel judge` says whether
    the program is right.

    \b
    Examples:
      evo-kernel rewrites                                    every family, with its intent
      evo-kernel rewrites softmax                            where they apply in the task's seed
      evo-kernel rewrites mine.py --apply split-k --diff
      evo-kernel rewrites gemm_fp16 --apply grouped-order --place 1 --out mine.py
    """
    if family is None and (place is not None or diff or out is not None):
        raise click.UsageError("--place, --diff and --out want --apply FAMILY")
    if family is not None and program is None:
        raise click.UsageError("--apply wants a TASK or a FILE to apply it to")
    if family is not None and as_json:
        raise click.UsageError("--json prints the list, which --apply does not")
    from evo_kernel import rewriting

    source = None if program is None else rewriting.source_of(program)
    if family is None or source is None:
        _list(source, as_json)
        return
    made = rewriting.rewrite(source, family, place)
    if out is not None:
        try:
            with out.open("x", encoding="utf-8", newline="") as file:
                file.write(made)
        except OSError as error:
            raise click.ClickException(f"cannot write {out}: {error}") from error
        click.echo(f"wrote {out}; evo-kernel judge {out} --task TASK says whether it is right", err=True)
    if diff:
        click.echo(rewriting.difference(source, made, str(program)), nl=False)
    elif out is None:
        click.echo(made, nl=False)


def _list(source: str | None, as_json: bool) -> None:
    """Print families, with their places where there is a program, and what is left alone of it."""
    from evo_kernel import rewriting

    found = rewriting.families(source)
    if as_json:
        click.echo(json.dumps([asdict(f) for f in found], indent=2))
    else:
        _print(found)
    left = rewriting.Left() if source is None else rewriting.left(source)
    for line in left.kernels:
        click.echo(line, err=True)
    if left.faults:
        raise click.ClickException("\n".join(left.faults))


def _print(found: "tuple[Family, ...]") -> None:
    width = max((len(f.name) for f in found), default=0)
    for one in found:
        click.echo(f"{one.name:<{width}}  {one.intent}{f' (not offered: {one.refused})' if one.refused else ''}")
        for number, what in enumerate(one.places, 1):
            click.echo(f"{'':<{width}}  {number}. {what}")
    if not found:
        click.echo("no family of rewrites applies to this program")
