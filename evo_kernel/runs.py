"""Begins and reopens runs: a folder with a journal, from which settings, task and search are rebuilt."""

import fcntl
import logging
import platform
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass, replace
from importlib import metadata
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from archives import reading
from archives.candidate import Candidate, fingerprint
from archives.events import Event, Extended, Learned, Proposed, Started
from archives.journal import Journal
from evo_kernel import __version__, constrained, prior
from evo_kernel.config import BEFORE, Settings
from evo_kernel.credit import Outcome
from evo_kernel.errors import RunError
from evo_kernel.learning import IMPORTED, REWRITTEN
from evo_kernel.search import Search
from fitness.evaluation import Basis
from fitness.gpu import discover
from operators.knobs import structure
from operators.llm.settings import repriced
from operators.rewrites.crossing import families_in
from operators.uncollected import uncollected
from suites import Task
from suites import task as tasks
from suites.foreign import by_theirs

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class State:
    """A run as its journal tells it; `wall_seconds` is for how long it was driven."""

    settings: Settings
    task: Task
    search: Search
    started: Started
    wall_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Start:
    """What a run begins with beside its task: programs, and what an earlier run knew of rewrites."""

    programs: tuple[Candidate, ...] = ()
    credit: tuple[Outcome, ...] = ()
    basis: str = ""  # of that run's times; empty where nobody says


def begin(folder: Path, settings: Settings, task: Task, start: Start = Start()) -> None:
    """Create a run: what it is, and what it begins with.

    Of rewrites another run's word goes before what is shipped, where its times were as this run's will be: what was
    predicted says little of what is measured.
    """
    given = [Candidate(s.source, "seed", s.name, (), fingerprint(s.source), structure(s.source)) for s in task.seeds]
    known = {c.fingerprint for c in given}
    for candidate in start.programs:
        if candidate.fingerprint not in known:
            known.add(candidate.fingerprint)
            given.append(candidate)
    if "auto" in (settings.target, settings.basis):
        raise ValueError("a run begins with a target and a basis: machine.resolve settles them")
    if not given and not settings.models:
        raise RunError(
            f"{task.name} has no seed kernel: a search of it begins with a model (--model) or another run (--seed-from)"
        )
    constrained.require(settings, given)
    first: list[Event] = [Started(settings.frozen, tasks.pack(task), _versions(), _machine(settings))]
    alike = start.basis in ("", settings.basis)
    if start.credit and not alike:
        logger.warning("what that run knew of rewrites is left out: its times were %s, this run's are %s",
                       start.basis, settings.basis)  # fmt: skip
    for said, shipped in ((start.credit if alike else (), False), (prior.begun_with(settings, task.name), True)):
        first += [Learned(said, shipped)] if said else []
    first += [Proposed(number, candidate) for number, candidate in enumerate(given)]
    Journal.create(folder, ((event, 0.0) for event in first)).close()


def fold(journal: Journal) -> State:
    """Rebuild a run from its journal."""
    return replace(fold_events(journal.events(), str(journal.folder)), wall_seconds=journal.spent)


def fold_events(events: Iterable[Event], origin: str) -> State:
    """Rebuild a run from its events."""
    stream = iter(events)
    started = next(stream, None)
    if not isinstance(started, Started):
        raise RunError(f"{origin} holds a run that never began: start it again in another folder")
    try:
        settings = Settings(**{**BEFORE, **_known_settings(started.settings)})
    except ValidationError as error:
        names = ", ".join(str(e["loc"][0]) for e in error.errors())
        raise RunError(f"{origin} has settings that this evo-kernel does not know ({names}): is it newer?") from error
    search = Search(
        settings.seed, settings.population, settings.generations, settings.policy, settings.rules, settings.limits,
        Basis(settings.basis),
    )  # fmt: skip
    with uncollected():  # what is read stays: to look at it again and again takes a fifth of the time
        for event in stream:
            try:
                search.tell(event)
            except ValueError as error:
                raise RunError(f"{origin} contradicts itself, somebody has changed it: {error}") from error
            if isinstance(event, Extended) and event.prices:
                settings = settings.model_copy(update={"models": repriced(settings.models, event.prices)})
    try:
        task = tasks.unpack(started.task)
    except (KeyError, TypeError, ValueError) as error:
        raise RunError(
            f"{origin} was begun by another version of evo-kernel, whose tasks this one cannot read"
        ) from error
    if task.judged_by and search.archive.history:
        first = search.archive[next(iter(search.archive.history))]
        task = by_theirs.timed_on(task, [c.case for c in first.evaluation.cases])
    return State(settings, task, search, started)


def read(folder: Path) -> State:
    """Read a run without disturbing whoever writes it."""
    with Journal.read(folder) as journal:
        return fold(journal)


def driven(folder: Path) -> bool:
    """Tell whether a process holds a run's lock, or might: where this one may not look, nobody knows."""
    try:
        with open(folder / reading.LOCK, encoding="utf-8") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)  # given back with the file
    except FileNotFoundError:
        return False
    except OSError:
        return True
    return False


def extend(folder: Path, generations: int, limits: dict[str, Any] | None = None,
           prices: dict[str, dict[str, str]] | None = None) -> None:  # fmt: skip
    """Give a run another number of generations, and other limits and prices of models: those named."""
    with Journal.append_to(folder) as journal:
        journal.append(Extended(generations, limits or {}, prices or {}))


def start_from(folder: Path, task: Task) -> Start:
    """Return what another run of a task can begin with: a run's elites, and what it knew of rewrites.

    Programs of another launcher are no programs of the task; which rewrites helped on such kernels is worth knowing.
    """
    state = read(folder)
    credit = state.search.credit.passed_on()
    if state.task.entry != task.entry:
        launcher = f"{folder} is a run of {state.task.name}, whose launcher is not `{task.entry}` of {task.name}"
        if not credit:
            raise RunError(f"{launcher}, and it knows nothing of rewrites: there is nothing to begin with")
        logger.info("%s: only what it knows of rewrites is taken", launcher)
        return Start((), credit, state.settings.basis)
    found = [entry.candidate for entry in state.search.archive.ranked()]
    programs = [replace(c, operator=IMPORTED, intent=_elite(folder, state, c), parents=()) for c in found]
    return Start(tuple(programs), credit, state.settings.basis)


def _elite(folder: Path, state: State, candidate: Candidate) -> str:
    """Say where a program is from, and which rewrites led to it there: its parents are not brought along."""
    led = [name for intent in state.search.learned.rewrites(candidate) for name in families_in(intent)]
    return f"elite of {folder.name}" + (f"{REWRITTEN}{', '.join(dict.fromkeys(led))}" if led else "")


def _known_settings(settings: dict[str, Any]) -> dict[str, Any]:
    """Drop settings of older versions that no longer exist."""
    return {k: v for k, v in settings.items() if k in Settings.model_fields}


def _versions() -> dict[str, str]:
    """Return the versions that a verdict may depend on, and the commit this program runs from."""
    found = {"evo-kernel": __version__, "python": platform.python_version()}
    for name in ("torch", "triton", "pytorch-triton-rocm", "numpy", "libcst"):
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    root = Path(__file__).parent.parent
    if (root / ".git").exists():
        head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=root, capture_output=True, text=True, check=False)
        if head.returncode == 0:
            found["commit"] = head.stdout.strip()
    return found


def _machine(settings: Settings) -> dict[str, str]:
    """Describe this machine in a few words."""
    used = ", ".join(g.name for g in discover.gpus()) if settings.basis == "measured" else ""
    return {
        "system": platform.system(),
        "release": platform.release(),
        "processor": platform.machine(),
        "gpu": used or "none used",
    }
