"""The public Python API: what the command line does, in a few calls."""

import contextlib
import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from archives.archive import Archive, Entry
from evo_kernel import config_files, idle, isolation, runs, talks
from evo_kernel import machine as machines
from evo_kernel.config import MACHINE, Settings
from evo_kernel.errors import RunError
from evo_kernel.export import Exported, export
from evo_kernel.measurement import confirm_best
from evo_kernel.measuring import inline
from evo_kernel.population import Population
from evo_kernel.progress import Progress
from evo_kernel.search import GIVEN, Search
from operators.llm.settings import priced, repriced
from suites import Task, load
from suites.loading import find

if TYPE_CHECKING:
    from fitness.lint import Finding

logger = logging.getLogger(__name__)


class Driver(Protocol):
    """What drives a run: a Population here, or one in an actor."""

    def advance(self, seconds: float = 0.5) -> Progress:
        """Do some work and say where the run stands."""

    def close(self) -> None:
        """Stop all work."""


@dataclass(frozen=True, slots=True)
class Run:
    """A run on disk."""

    folder: Path

    @property
    def archive(self) -> Archive:
        """Everything judged so far, rebuilt from the journal."""
        return runs.read(self.folder).search.archive

    @property
    def best(self) -> Entry:
        """The fastest program that passed."""
        archive = self.archive
        if archive.best is None:
            raise RunError(f"no program of {self.folder} has passed yet")
        return archive[archive.best]

    def export(self, top: int = 1, out: Path | str | None = None) -> list[Exported]:
        """Check the fastest programs on the held-out cases and write them as files of their own."""
        return export(self.folder, top, Path(out) if out else self.folder / "exported")


def check(task: str | Task) -> "tuple[Finding, ...]":
    """Judge wrong and honest programs by a task's own trials; a finding with a `fault` says what to change.

    The task's own code runs in a process of its own.
    """
    from evo_kernel import tasks  # it imports torch

    return tasks.check(*(find(task) if isinstance(task, str) else (task.source, task.name, task.name)))[1]


def search(
    task: str | Task,
    run: Path | str | None = None,
    *,
    config_file: str | None = None,
    seed_from: Path | str | None = None,
    on_progress: Callable[[Progress], None] | None = None,
    **settings: Any,
) -> Run:
    """Search for a faster kernel of a task; keyword arguments are the settings of config.Settings."""
    chosen = machines.resolve(config_files.load(config_file, settings))
    idle.check(chosen, settings, logger.warning)
    what = load(task) if isinstance(task, str) else task
    isolation.require_here(chosen)
    talks.require(chosen, what)
    folder = Path(run) if run else free_folder(what.name, chosen.target)
    runs.begin(folder, chosen, what, runs.start_from(Path(seed_from), what) if seed_from else runs.Start())
    talks.settle(folder, chosen, what)
    drive(folder, chosen, on_progress)
    return Run(folder)


def resume(
    run: Path | str,
    *,
    generations: int | None = None,
    limits: dict[str, Any] | None = None,
    prices: Sequence[str] = (),
    on_progress: Callable[[Progress], None] | None = None,
    **machine: Any,
) -> Run:
    """Go on with a run where its journal ends; with more generations, other limits (rules.Limits) or prices if wanted.

    A price is written as on the command line, MODEL=INPUT/OUTPUT, in dollars per million tokens.
    """
    folder = Path(run)
    settings = reopened(folder, generations, machine, limits, prices)
    drive(folder, settings, on_progress)
    return Run(folder)


def reopened(
    folder: Path, generations: int | None, machine: dict[str, Any], limits: dict[str, Any] | None = None,
    prices: Sequence[str] = (),
) -> Settings:  # fmt: skip
    """Return a run's settings with this machine's own, after extending the run if asked."""
    state = runs.read(folder)
    if generations is not None and generations < 1:
        raise RunError(f"generations must be at least 1; got {generations}")
    if generations is not None:
        _require_more(folder, state.search, generations)
    given = {k: v for k, v in machine.items() if v is not None}
    changed = {k: v for k, v in (limits or {}).items() if v is not None}
    new_prices = priced([m.model for m in state.settings.models], prices)
    models = repriced(state.settings.models, new_prices)
    settings = config_files.load(None, {**state.settings.model_dump(), **given, **changed, "models": models})
    idle.check(settings, changed, logger.warning)
    isolation.require_here(settings)
    machines.check_resumable(settings)
    more = generations or state.search.generations
    if changed or new_prices or more != state.search.generations:
        talks.require_prices(settings)
        runs.extend(folder, more, changed, new_prices)
    return settings


def _require_more(folder: Path, search: Search, generations: int) -> None:
    """Refuse a budget that is below what a run has made: it could neither be kept nor gone on from."""
    made = search.evaluations + sum(c.operator not in GIVEN for c in search.pending.values())
    least = -(-made // search.population)
    if generations < least:
        raise RunError(
            f"{folder} has made {made} evaluations, which are {least} generations of {search.population}: generations "
            f"are counted in all, and must be at least {least}; got {generations}"
        )


def drive(
    folder: Path,
    settings: Settings,
    on_progress: Callable[[Progress], None] | None = None,
    say: Callable[[str], None] = logger.info,
) -> None:
    """Advance a run until it is done, then run its best on what a search leaves out; it can be interrupted."""
    with driver(folder, settings) as running:
        while True:
            progress = running.advance()
            if on_progress is not None:
                on_progress(progress)
            if progress.done:
                break
    if settings.basis == "measured" and settings.mode == "sealed":
        confirm_best(folder, say)


@contextlib.contextmanager
def driver(folder: Path, settings: Settings) -> Iterator[Driver]:
    """Open a run with the pool its settings name, and close it whatever happens."""
    machine = {k: getattr(settings, k) for k in MACHINE}
    with contextlib.ExitStack() as stack:
        running: Driver
        if settings.pool == "inline":
            running = Population(folder, inline, settings=machine)
        else:
            from evo_kernel import workers

            stack.enter_context(workers.cluster(settings.address))
            running = workers.RayDriver(folder, settings)
        stack.callback(running.close)
        yield running


def free_folder(task: str, target: str) -> Path:
    """Return the first folder runs/TASK-TARGET-N that does not exist."""
    number = 1
    while (folder := Path("runs") / f"{task.replace('/', '-')}-{target}-{number}").exists():
        number += 1
    return folder
