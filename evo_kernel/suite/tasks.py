"""Makes Tasks of a suite's tasks, so that they can be searched, or says in one line why one cannot be."""

import contextlib
from pathlib import Path

from evo_kernel import machine
from evo_kernel.config import Settings
from evo_kernel.suite.stop import Stop
from evo_kernel.suite.survey import chosen, lacks, survey
from suites import Task, load
from suites.foreign import Loaded, by_theirs
from suites.loading import TaskError


class Unturned(TaskError):
    """No task of ours can be made of a suite's, for this reason, and its own test may judge it all the same."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"{name} is no task of ours: {reason}")
        self.reason = reason


class JailLost(TaskError):
    """The jail in which a task was turned was lost: as a rule this machine's fault, not the task's."""


def members(suite: str, root: Path | None, names: tuple[str, ...] = ()) -> tuple[Loaded, ...]:
    """Return a suite's tasks, or those named."""
    return chosen(survey(suite, root).tasks, names)


def why_not(found: Loaded, models: bool = False) -> str | None:
    """Say in one line why a suite's task cannot be searched, as far as its text tells."""
    if found.problem or found.needs:
        return found.problem or lacks(found)
    return SEEDLESS if found.style in ("model", "function") and not models else None


def task(suite: str, root: Path | None, name: str, stop: Stop | None = None) -> Task:
    """Return one task of a suite as a Task; TaskError where it cannot be one. Theirs runs in a jail alone.

    JailLost also where `stop` came meanwhile.
    """
    (found,) = members(suite, root, (name,))
    if (why := why_not(found, models=True)) is not None:
        raise TaskError(f"{suite}/{name} is no task of ours: {why}")
    if found.style == "native":
        return load(str(root / found.file) if root is not None else name)
    return turned(suite, found, stop)


def only_theirs(found: Loaded) -> str | None:
    """Say in one line why its own test alone can judge a task, as far as its text tells."""
    usable = not found.problem and not found.needs
    return by_theirs.UNHELD if usable and by_theirs.launchless(found) else None


def by_its_test(suite: str, root: Path | None, name: str, settings: Settings, unturned: Unturned) -> Task:
    """Return one task of a suite as one that its own test judges; TaskError where that cannot be, here or at all."""
    from fitness import their_times

    (found,) = members(suite, root, (name,))
    if not on_device(settings):
        raise TaskError(f"{unturned}; {ON_DEVICE}") from unturned
    if found.style not in by_theirs.STYLES:
        raise unturned
    if lacking := their_times.lacking(found):
        raise TaskError(f"{unturned}; and its own test takes no times: {lacking}") from unturned
    return by_theirs.task(suite, found, unturned.reason)


def quarantined_by_its_test(found: Loaded) -> bool:
    """Tell whether a task whose test passes a no-op is none of ours.

    Not so a PyTorch module: nothing of its test is in our task, which is quarantined where zeros pass our own gates.
    """
    return found.style != "model"


def on_device(settings: Settings) -> bool:
    """Tell whether tests of theirs can judge programs of a run: on a GPU of this machine that it measures on."""
    return settings.basis == "measured" and settings.pool == "inline" and machine.count(settings.target) > 0


def turned(suite: str, found: Loaded, stop: Stop | None = None) -> Task:
    """Turn one task in a jail of its own, unless its test passes a program that launches nothing."""
    from fitness import foreign, ours
    from fitness.jail import Jail, WorkerLost

    if (why := only_theirs(found)) is not None:
        raise Unturned(f"{suite}/{found.name}", why)
    with contextlib.closing(Jail(ours.FLAVOUR)) as jail:
        try:
            with (stop or Stop()).reaching(jail):
                if quarantined_by_its_test(found) and foreign.check(found, jail).flagged:
                    raise TaskError(f"{ours.QUARANTINED}its test passes a program that launches nothing")
                return ours.turn(suite, found, jail)
        except TaskError as error:
            name = f"{suite}/{found.name}"
            if str(error).startswith(ours.QUARANTINED):
                raise TaskError(f"{name} is no task of ours: {error}") from error
            raise Unturned(name, str(error)) from error
        except WorkerLost as error:
            raise JailLost(f"{suite}/{found.name} is not made a task yet: its jail was lost, {error}") from error


def find(name: str, root: Path | None, settings: Settings | None = None) -> Task:
    """Return a task by its name or file, or with a checkout one of a suite's, SUITE/TASK.

    One that ours cannot be is judged by its own test where a search in open mode (`settings`) asks for it.
    """
    if root is None:
        return load(name)
    suite, _, inner = name.partition("/")
    if not inner:
        raise TaskError(f"with --root a task is named SUITE/TASK, as in kernelbench/level1/19_ReLU; got {name!r}")
    try:
        return task(suite, root, inner)
    except Unturned as error:
        if settings is not None and settings.mode == "open":
            return by_its_test(suite, root, inner, settings, error)
        raise TaskError(f"{error}; {BY_ITS_TEST}") from error


BY_ITS_TEST = "its own test can judge it: `suite judge`, and on a GPU `suite run` or `search --mode open --pool inline`"
ON_DEVICE = "only its own test can judge it, and that takes a GPU"
SEEDLESS = "it comes with PyTorch alone, and without a model (--model) a search begins with a right Triton kernel"
