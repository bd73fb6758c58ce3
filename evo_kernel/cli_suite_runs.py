"""Commands that search a whole suite within one budget, and report what came of it."""

from pathlib import Path
from typing import Any

import click

from evo_kernel.cli_options import (
    Finite,
    basis_option,
    isolation_option,
    mode_option,
    model_budget_options,
    model_option,
    price_option,
    remark,
    say,
)


@click.command("run")
@click.argument("name")
@click.option("--root", type=click.Path(path_type=Path), metavar="CHECKOUT",
              help="Root of the suite's checkout; of native, task files that run as your own Python.")  # fmt: skip
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder of the suite run.")
@click.option(
    "--budget", type=click.IntRange(min=1), required=True, help="Evaluations of all tasks together, in whole turns."
)
@click.option("--task", "names", multiple=True, metavar="TASK", help="Only this task; may be given several times.")
@click.option(
    "--at-once",
    type=click.IntRange(min=1),
    help="Tasks at once, a judge each [one for every core; measured, at most 4 on every GPU].",
)
@click.option("--generations", type=click.IntRange(min=1), default=2, show_default=True, help="Of one task's turn.")
@click.option("--population", type=click.IntRange(min=1), help="Evaluations in a generation [8].")
@click.option("--target", help="Chip, as for search [this machine's GPU, or mi300].")
@click.option("--seed", type=click.IntRange(min=0), help="Of every random choice [0].")
@click.option("--policy", help="As for search [archive].")
@click.option("--operators", help="As for search.")
@click.option("--config", "config_file", help="TOML file, or the name of a shipped one, as for search.")
@model_option
@price_option
@model_budget_options
@click.option("--max-gpu-seconds", type=Finite(min=0, min_open=True), metavar="S",
              help="What GPUs may work for all tasks together.")  # fmt: skip
@click.option("--stop-at-roofline", type=Finite(0, 1, min_open=True), metavar="SHARE",
              help="A task is solved when its best reaches this share of the roofline [0.95].")  # fmt: skip
@click.option("--stop-after-stagnation", type=click.IntRange(min=1), metavar="N",
              help="A task is settled when N evaluations in a row brought nothing better [48].")  # fmt: skip
@basis_option
@mode_option
@isolation_option
@click.option("--theirs/--no-theirs", default=True, show_default=True,
              help="At the end have the suite's own tests judge what was found, and on a GPU time it.")  # fmt: skip
@click.option("--quiet", is_flag=True, help="Show no progress.")
def suite_run(name: str, root: Path | None, out: Path, budget: int, names: tuple[str, ...], at_once: int | None,
              quiet: bool, theirs: bool, config_file: str | None, **given: Any) -> None:  # fmt: skip
    """Search many tasks of the suite NAME within one budget; given again, it goes on where it stopped.

    \b
    Examples:
      evo-kernel suite run native --out runs/native --budget 960
      evo-kernel suite run native --task softmax --task rms_norm --out runs/two --budget 64 --at-once 1
      evo-kernel suite run rocm --root GEAK-eval --out runs/rocm --budget 480            on a GPU
      evo-kernel suite run kernelbench --root KernelBench --out runs/kb --budget 4000 --model anthropic:NAME \\
          --price anthropic:NAME=3/15 --max-cost 50

    Tasks take turns; those that are solved, settled or hopeless get none any more. Calls, tokens, dollars and GPU
    seconds are shared as evaluations are: every turn brings its part, and a task keeps what its turn leaves. Every task
    is a run of its own below --out, for show, resume and export. What no task of ours can be made of is searched by its
    own test and times, where there is a GPU. Exits with 1 where a task was left alone: its run is damaged, its jail was
    lost, it cannot be measured now or has no room on the device. The others go on, and the report says why.

    With native, --root is a folder of task files of yours: they run in this process, unlike other suites' code, with
    all that you may do. What one raises leaves it out, but os._exit in one ends the command at once.
    """
    import sys

    from evo_kernel.cli_llm import priced
    from evo_kernel.cli_running import terminated_like_interrupted
    from evo_kernel.errors import RunError
    from evo_kernel.suite import begin, drive, report

    given["models"] = priced(given["models"], given.pop("prices")) or None
    talk = (lambda _: None) if quiet else say
    try:
        with terminated_like_interrupted():
            asked = begin.begin(out, name, root, names, budget, given, config_file, talk)
            if rest := asked.budget % asked.turn:
                talk(f"{rest} of {asked.budget} evaluations are less than a turn of {asked.turn}, and nobody's")
            remark(name, asked.notes)
            left = drive.drive(out, asked, at_once or drive.usual(asked.settings), talk, theirs)
    except KeyboardInterrupt:
        say("\nstopped; nothing is lost. The same command goes on.")
        sys.exit(130)
    click.echo(report.write(out, out))
    if left:
        raise RunError("; ".join(place.left_alone for place in left))


@click.command("judge")
@click.argument("name")
@click.argument("file", required=False, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--root", type=click.Path(path_type=Path), metavar="CHECKOUT", help="Root of the suite's checkout.")
@click.option("--task", "names", multiple=True, metavar="TASK", help="By this task's test; for references several.")
@click.option("--on", type=click.Choice(["auto", "gpu", "interpreter"]), default="auto", show_default=True,
              help="Where it runs; auto: on this machine's GPU if it has one.")  # fmt: skip
@click.option("--seconds", type=Finite(0, 86400, min_open=True), default=120.0, show_default=True,
              help="For the reference, and again for the program.")  # fmt: skip
@click.option("--rules", type=click.Choice(["both", "theirs"]), default="both", show_default=True,
              help="theirs alone, or ours beside it where the task can be one of ours.")  # fmt: skip
@click.option("--workers", type=click.IntRange(min=1), default=1, show_default=True, help="Runs of theirs at once.")
@click.option("--times", "timed", is_flag=True,
              help="Take times as the suite does of what passes, on a GPU alone, within --seconds each.")  # fmt: skip
@click.option("--quiet", is_flag=True, help="Show no progress.")
@click.option("--json", "as_json", is_flag=True, help="Print the verdicts as JSON.")
def suite_judge(name: str, file: Path | None, root: Path | None, names: tuple[str, ...], on: str, seconds: float,
                rules: str, workers: int, timed: bool, quiet: bool, as_json: bool) -> None:  # fmt: skip
    """Judge the program in FILE by a suite's own test and tolerances; without FILE, the suite's references.

    \b
    Examples:
      evo-kernel suite judge tritonbench-revised mine.py --task softmax_triton1 --root GEAK-eval
      evo-kernel suite judge rocm --root GEAK-eval --on gpu
      evo-kernel suite judge rocm mine.py --task gemm --root GEAK-eval --times --seconds 300

    FILE holds a program alone; where it holds a suite's tests too they are left out. Reference and program run in jails
    of their own; what their tests leave is compared outside. The program runs beside the test (untrusted-host), so this
    is for numbers to lay beside published ones. Beside it stands what our judge says, on values of its own at the sizes
    of the test's calls; where the two differ the task is listed. Exits with 1 unless all are right by theirs.

    --times runs the suite's own performance tests on the reference, on the program and on the reference again, task
    after task, and prints GEAK's speedup: the mean over tests of the reference's time over the program's. Beside it
    stands what the reference is beside itself. All of a TritonBench file's sizes are timed as long as it asks for, less
    where that would not end. Times are the programs' own claims.
    """
    import json
    import sys

    from evo_kernel.errors import RunError
    from evo_kernel.suite import survey as suite_survey
    from evo_kernel.suite import theirs as suite_theirs
    from evo_kernel.suite import timed as suite_timed
    from suites.foreign.programs import before_tests

    try:
        source = None if file is None else file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise RunError(f"cannot read {file}: {error}") from error
    talk = (lambda _: None) if quiet else say
    clock = suite_timed.device(on) if timed else None
    survey = suite_survey.survey(name, root)
    tasks = suite_survey.chosen(survey.tasks, names)
    suite_survey.require_theirs(tasks, root, file)
    if source is not None and (program := before_tests(source, tasks[0].tests)) != source:
        say(f"{file} holds the task's tests too: they are left out")
        source = program
    remark(name, survey.notes)
    found = suite_theirs.judge(name, root, names, source, on, seconds, workers, talk)
    own = suite_theirs.ours(name, root, names, source, on, talk) if rules == "both" else []
    told, lines = suite_theirs.plain(name, found, own), [suite_theirs.text(name, found, own)]
    if timed:
        right = {one.name for one in found if one.passed}
        times = suite_timed.judge(suite_theirs.programs(name, root, names, source, right), clock, seconds, talk)
        told["times"] = suite_timed.plain(times)
        lines.append(suite_timed.text(times))
    click.echo(json.dumps(told, indent=2) if as_json else "\n".join(lines))
    sys.exit(0 if all(one.passed for one in found) else 1)


@click.command("report")
@click.argument("folder", type=click.Path(path_type=Path))
@click.option(
    "--compare", "other", type=click.Path(path_type=Path), metavar="DIR", help="Another suite run, beside it."
)
@click.option("--out", type=click.Path(path_type=Path), help="Folder to write into [FOLDER, or FOLDER/compared].")
@click.option("--json", "as_json", is_flag=True, help="Print the JSON instead of the Markdown.")
def suite_report(folder: Path, other: Path | None, out: Path | None, as_json: bool) -> None:
    """Report the suite run in FOLDER, also while it goes on: Markdown, JSON and a picture of fast_p.

    \b
    Examples:
      evo-kernel suite report runs/native
      evo-kernel suite report runs/native --compare runs/native-before

    Accuracies and pass@k count the programs that the searches made; speedups are over each task's seed.
    """
    from evo_kernel.suite import folder as suite_folder
    from evo_kernel.suite import report as module

    place = out or (folder if other is None else folder / "compared")
    runs = [suite_folder.read(one) for one in (folder, other) if one is not None]
    for n, asked in enumerate(runs):  # one that an older version began within its checkout keeps its report there
        suite_folder.require_outside(asked.suite, asked.root, {"the folder of the report": place if n else out})
    told = module.write(folder, place, other)
    for asked in runs:
        remark(asked.suite, asked.notes)
    click.echo((place / "report.json").read_text(encoding="utf-8") if as_json else told, nl=False)
    say(f"wrote {', '.join(str(place / name) for name in module.NAMES)}")
