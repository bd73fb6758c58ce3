"""Drives a suite run: many searches at once within one budget, each in turns, until all are over or it is spent."""

import logging
import os
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any

from archives import journal
from archives.journal import JournalError
from evo_kernel import api, config_files, machine, measurement, runs, talks
from evo_kernel.config import Settings
from evo_kernel.errors import SeedFailed, Unsettled
from evo_kernel.suite import handed, held_out, share, standing
from evo_kernel.suite import tasks as suite_tasks
from evo_kernel.suite.folder import Member, SuiteRun, run_of
from evo_kernel.suite.schedule import ready
from evo_kernel.suite.standing import Place
from evo_kernel.suite.stop import Stop
from evo_kernel.suite.survey import ROOTLESS
from evo_kernel.suite.theirs import gpu
from suites import Task
from suites.foreign import SuiteError
from suites.loading import TaskError

logger = logging.getLogger(__name__)

Say = Callable[[str], None]
LEFT_ALONE = (Unsettled, TaskError, JournalError)  # of one task, and nobody's verdict: its run may be in use, say
NOT_HELD_OUT = "held-out cases were not judged"
SHARING = 4  # searches on each GPU: builders of one work while another is at the clock


def drive(folder: Path, asked: SuiteRun, at_once: int, say: Say, theirs: bool = True) -> tuple[Place, ...]:
    """Go on with a suite run to its end; what is done already is not done again. Return what was left alone.

    `theirs`: at the end the suite's own tests judge what was found.
    """
    settings = shared(config_files.load(None, dict(asked.settings)), at_once)
    with journal.alone(folder):
        places = {m.name: standing.read(folder, m, again=True) for m in asked.searched}
        stop, pool = Stop(), ThreadPoolExecutor(at_once)
        try:
            _search(folder, asked, settings, places, pool, at_once, stop, say)
            finished = [pool.submit(_finish, folder, n, p, settings, stop) for n, p in enumerate(places.values())]
            places = {done.result().member.name: done.result() for done in finished}
            if theirs and asked.suite != ROOTLESS:
                _ask_theirs(folder, asked, places, at_once, stop, say)
        finally:
            # an interrupt comes here: no task is made any more, searches stop at their next verdict and keep it
            stop.set()
            pool.shutdown(wait=True, cancel_futures=True)
        return tuple(place for place in places.values() if place.left_alone)


def usual(settings: Mapping[str, Any]) -> int:
    """Return how many tasks are searched at once: as many as there are cores, a few where they share a GPU."""
    cores, measured = os.cpu_count() or 1, settings["basis"] == "measured"
    gpus = machine.count(settings["target"]) if measured else 0  # none: they are a cluster's
    return min(cores, SHARING * gpus) if gpus else cores


def shared(settings: Settings, at_once: int) -> Settings:
    """Return settings of searches of which so many measure at once: each has its part of memory and cores."""
    gpus = machine.count(settings.target) if settings.basis == "measured" and settings.pool == "inline" else 0
    if not gpus:
        return settings
    workers = settings.workers or max(2, (os.cpu_count() or 2) // at_once)
    return settings.model_copy(update={"judges": max(settings.judges, -(-at_once // gpus)), "workers": workers})


def _search(folder: Path, asked: SuiteRun, settings: Settings, places: dict[str, Place], pool: ThreadPoolExecutor,
            at_once: int, stop: Stop, say: Say) -> None:  # fmt: skip
    """Give turns until none may be given."""
    turns, names = asked.turns, list(places)
    standings = [places[name].standing(asked) for name in names]
    flying: dict[Future[Place], int] = {}
    torn = [place for place, s in enumerate(standings) if s.busy]  # a kill came during their turns
    while True:
        for place in (*torn, *ready(standings, turns)):
            if len(flying) == at_once:
                break
            if place in flying.values() or places[names[place]].left_alone:
                continue
            member = places[names[place]].member
            flying[pool.submit(_turn, folder, asked, member, settings, stop)] = place
            one = standings[place]
            standings[place] = type(one)(one.turns + (place not in torn), busy=True)
            torn = [other for other in torn if other != place]
        if not flying:
            return
        for done in wait(flying, return_when=FIRST_COMPLETED).done:
            place = flying.pop(done)
            places[names[place]] = done.result()
            standings[place] = places[names[place]].standing(asked)
            say(line(places[names[place]], sum(s.turns for s in standings), turns))


def _turn(folder: Path, asked: SuiteRun, member: Member, settings: Settings, stop: Stop) -> Place:
    """Use one turn of a task's search, or what a kill left of one."""
    with machine.dealt(asked.searched.index(member)):  # a task's turns are all on one GPU
        return _used(folder, asked, member, settings, stop)


def _used(folder: Path, asked: SuiteRun, member: Member, settings: Settings, stop: Stop) -> Place:
    run, place = run_of(folder, member), standing.read(folder, member, again=True)
    if place.damaged:
        return place
    if place.state is None:
        try:
            task, settings = _task(asked, member, settings, stop)
        except suite_tasks.JailLost as error:  # nobody's verdict
            return place if stop.is_set() else standing.leave_alone(folder, member, str(error))
        except (TaskError, SuiteError) as error:
            return standing.leave_out(folder, member, str(error))
        talks.require(settings, task)
        part = share.limits(settings, 1, asked.turns)
        runs.begin(run, settings.model_copy(update=part), task)
        talks.settle(run, settings, task)
    try:
        if place.state is not None and place.drained:
            generations = place.state.search.generations + asked.settings["generations"]
            given = generations // asked.settings["generations"]
            runs.extend(run, generations, share.limits(settings, given, asked.turns))
        with api.driver(run, settings) as running:
            while not stop.is_set() and not running.advance().done:
                pass
    except SeedFailed as error:
        logger.info("%s: %s", member.name, error)
    except LEFT_ALONE as error:  # the others go on; whoever runs the suite again asks for this one again
        return standing.leave_alone(folder, member, str(error))
    return standing.read(folder, member) if stop.is_set() else standing.tried(folder, member)


def _task(asked: SuiteRun, member: Member, settings: Settings, stop: Stop) -> tuple[Task, Settings]:
    """Make a task of one of the suite's, or else one that its own test judges, in open mode."""
    root = None if asked.root is None else Path(asked.root)
    try:
        return _turned(asked, root, member, stop), settings
    except suite_tasks.Unturned as error:
        task = suite_tasks.by_its_test(asked.suite, root, member.name, settings, error)
        return task, settings.model_copy(update={"mode": "open", "basis": "measured"})


def _turned(asked: SuiteRun, root: Path | None, member: Member, stop: Stop) -> Task:
    """Make a task of ours, once more where its jail was lost without a stop."""
    try:
        return suite_tasks.task(asked.suite, root, member.name, stop)
    except suite_tasks.JailLost as error:
        if stop.is_set():
            raise
        logger.warning("%s; it is tried once more", error)
        return suite_tasks.task(asked.suite, root, member.name, stop)


def _finish(folder: Path, number: int, place: Place, settings: Settings, stop: threading.Event) -> Place:
    """Judge a task's seed and its best on what no operator saw, once for each best."""
    try:
        with machine.dealt(number):
            held_out.judge(folder, place, settings, stop)
    except LEFT_ALONE as error:
        why = f"{NOT_HELD_OUT}: {error}"
        return place if place.alone else standing.leave_alone(folder, place.member, why)
    return place if place.alone or stop.is_set() else standing.tried(folder, place.member, NOT_HELD_OUT)


def _ask_theirs(folder: Path, asked: SuiteRun, places: dict[str, Place], workers: int, stop: threading.Event,
                say: Say) -> None:  # fmt: skip
    """Have the suite's own tests judge what the searches hand in, and where there is a GPU time it."""
    searched = {name: (run_of(folder, p.member), standing.read(folder, p.member)) for name, p in places.items()}
    found = {name: (run, place.state) for name, (run, place) in searched.items() if place.state is not None}
    if found:
        tasks = suite_tasks.members(asked.suite, None if asked.root is None else Path(asked.root), tuple(found))
        handed.ask(found, tasks, workers, stop, say)
        if (device := gpu("auto")) is not None:
            handed.clock(found, tasks, device, stop, say)


def line(place: Place, used: int, turns: int) -> str:
    """Say where one task is after its turn."""
    if place.state is None or place.alone:
        return f"[{used}/{turns}] {place.member.name}: {place.why}"
    search = place.state.search
    best, seed = search.archive.best, measurement.baseline(place.state)
    told = "no program has passed yet"
    if best is not None:
        us = search.archive[best].score_us
        beside = "" if seed is None else f" ({seed.score_us / us:.2f}x the seed)"
        told = f"best {us:.2f} us {search.archive.basis}{beside}"
        if place.state.task.judged_by:  # of many times by such a clock the fastest is a lucky one: it makes no figure
            told = f"best {us:.2f} us by its suite's own clock (untrusted-host)"
    return f"[{used}/{turns}] {place.member.name}: {search.evaluations} evaluations, {told}, {place.status}"
