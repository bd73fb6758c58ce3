"""Options that several commands share."""

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click


class Finite(click.FloatRange):
    """A number within bounds: nan is within any, as no comparison with it holds, and inf within those of one side."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Read the number."""
        found = super().convert(value, param, ctx)
        if not math.isfinite(found):
            self.fail(f"{found} is no finite number.", param, ctx)
        return found


def isolation_option(command: Callable[..., None]) -> Callable[..., None]:
    """Add the option that refuses to judge with less isolation."""
    levels = ["process", "landlock", "namespaces"]  # as in fitness/walls/standing.py, which would take long to import
    return click.option(
        "--require-isolation",
        type=click.Choice(levels),
        help="Refuse to judge where less confines a candidate (see doctor) [process].",
    )(command)


def root_option(command: Callable[..., None]) -> Callable[..., None]:
    """Add the option by which a task of another suite is named."""
    return click.option(
        "--root", type=click.Path(path_type=Path), metavar="CHECKOUT",
        help="A suite's checkout: TASK is then one of its tasks, SUITE/TASK. Files of native/ run in this process.",
    )(command)  # fmt: skip


def basis_option(command: Callable[..., None]) -> Callable[..., None]:
    """Add the option that says where times come from."""
    return click.option(
        "--basis",
        type=click.Choice(["auto", "predicted", "measured"]),
        help="Measure times on a GPU or predict them; auto: measure where the target is this machine's GPU [auto].",
    )(command)


def mode_option(command: Callable[..., None]) -> Callable[..., None]:
    """Add the option that says where launchers run."""
    return click.option(
        "--mode",
        type=click.Choice(["sealed", "open"]),
        help="sealed: a plan is replayed; open: the launcher itself runs, untrusted-host, on a GPU [sealed].",
    )(command)


def model_budget_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options that end asking models."""
    for option in (
        click.option("--max-calls", type=click.IntRange(min=1), metavar="N", help="Ask models at most so often."),
        click.option("--max-tokens", type=click.IntRange(min=1), metavar="N", help="Tokens that models may use."),
        click.option("--max-cost", metavar="DOLLARS", help="What models may cost; each needs a price."),
    ):
        command = option(command)
    return command


def budget_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options that end a search before its evaluations are used up."""
    positive = Finite(min=0, min_open=True)
    command = model_budget_options(command)
    for option in (
        click.option("--stop-after-stagnation", type=click.IntRange(min=1), metavar="N",
                     help="End when N evaluations in a row brought no better program."),
        click.option("--stop-at-roofline", type=Finite(0, 1, min_open=True), metavar="SHARE",
                     help="End when the best reaches this share of the roofline, e.g. 0.9."),
        click.option("--max-gpu-seconds", type=positive, metavar="S", help="End when GPUs have worked this long."),
        click.option("--max-minutes", type=positive, metavar="M",
                     help="End after so much wall time, all sessions of a run together."),
    ):  # fmt: skip
        command = option(command)
    return command


def model_option(command: Callable[..., None]) -> Callable[..., None]:
    """Add the option that names a model."""
    return click.option(
        "--model", "models", multiple=True, metavar="PROVIDER:NAME[@URL]",
        help="A model that writes programs too; may be repeated. Providers: anthropic, openai, command, mailbox, "
        "replay.",
    )(command)  # fmt: skip


def price_option(command: Callable[..., None]) -> Callable[..., None]:
    """Add the option that says what a model costs."""
    return click.option(
        "--price", "prices", multiple=True, metavar="MODEL=INPUT/OUTPUT",
        help="Dollars per million tokens of a --model, e.g. openai:NAME=0.5/2; may be repeated.",
    )(command)  # fmt: skip


LIMITS = ("max_minutes", "max_gpu_seconds", "stop_at_roofline", "stop_after_stagnation", "max_cost", "max_tokens",
          "max_calls")  # what they are called inside  # fmt: skip


def mechanism_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options that switch parts of the search on and off."""
    names = click.Choice(
        [
            "history",
            "fallback",
            "broadening",
            "crossover",
            "tuner",
            "trials",
            "giving-up",
            "macro",
            "lexicase",
            "bandit",
            "halving",
            "compromises",
        ]  # as in evo_kernel/rules.py
    )
    command = click.option("--without", type=names, multiple=True, help="Switch a mechanism off; may be repeated.")(
        command
    )
    return click.option("--with", "having", type=names, multiple=True, help="Switch a mechanism on; may be repeated.")(
        command
    )


def say(line: str) -> None:
    """Tell a person something on stderr."""
    click.echo(line, err=True)


def remark(suite: str, notes: Sequence[str]) -> None:
    """Tell a person on stderr in one line what is to be known of a checkout, if anything is."""
    from evo_kernel.suite import survey

    if told := survey.remark(suite, notes):
        say(told)


def machine_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options that say where judging runs."""
    for option in (
        isolation_option,
        click.option("--quiet", is_flag=True, help="Show no progress."),
        click.option("--json", "as_json", is_flag=True, help="Print the result as JSON on stdout."),
        click.option("--address", help="Join a Ray cluster instead of the embedded one, e.g. auto or HOST:6379."),
        click.option(
            "--judges",
            type=click.IntRange(1, 16),
            help="Judges on each GPU: of the Ray pool, or of so many runs with --pool inline.",
        ),
        click.option("--workers", type=click.IntRange(min=0), help="Judges at once; 0: one for every core."),
        click.option(
            "--pool",
            type=click.Choice(["ray", "inline"]),
            help="ray: in parallel; inline: one at a time, repeatable.",
        ),
    ):
        command = option(command)
    return command
