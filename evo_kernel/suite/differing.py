"""Says in what a suite run is other than what is asked for now, so that a person can ask for what it was begun with."""

import json
from collections.abc import Sequence
from typing import Any

from evo_kernel.suite.folder import Member, SuiteRun
from evo_kernel.suite.survey import ROOTLESS
from fitness.words import clean

NAMED, LONGEST = 5, 200  # tasks that are named, and letters of a value


def differing(before: SuiteRun, asked: SuiteRun) -> list[str]:
    """Say of every part that differs what it was, and what it is now."""
    told = [
        f"{part}: it was begun with {_shown(was)}, and {_shown(now)} is asked for"
        for part in ("suite", "root", "budget")
        if (was := getattr(before, part)) != (now := getattr(asked, part))
    ]
    if before.members != asked.members:
        told.append(f"tasks: {_tasks(before.members, asked.members)}")
    keys = sorted({*before.settings, *asked.settings})
    both = [(key, before.settings.get(key), asked.settings.get(key)) for key in keys]
    if moved := [f"{key} was {_shown(was)} and is {_shown(now)} now" for key, was, now in both if was != now]:
        told.append(f"settings: {', '.join(moved)}")
    if before.texts != asked.texts:
        told.append(_texts(asked))
    return told


def _texts(asked: SuiteRun) -> str:
    """Say whose texts changed: native tasks come with this program, or lie in a folder of the user's own."""
    if asked.suite != ROOTLESS:
        return "programs or tests in its checkout, which was changed since"
    if asked.root is None:
        return "texts of the tasks that come with evo-kernel, as another version of it has them"
    return f"texts of its tasks: files in {_line(asked.root)} were changed since"


def _tasks(before: Sequence[Member], asked: Sequence[Member]) -> str:
    """Name the tasks that are asked for no more and those that are new, or the first that became another."""
    mine, now = ({m.name: m for m in members} for members in (before, asked))
    gone, new = [name for name in mine if name not in now], [name for name in now if name not in mine]
    told = [f"it was begun with {_few(gone)} too"] if gone else []
    told += [f"it was begun without {_few(new)}"] if new else []
    if told:
        return ", and ".join(told)
    changed = [f"{_line(n)} was {_state(mine[n])} and is {_state(now[n])} now" for n in mine if mine[n] != now[n]]
    return changed[0] if changed else "their order"


def _state(member: Member) -> str:
    """Say whether a task is searched, and where it is counted."""
    if member.left_out is not None:
        return f"left out ({_line(member.left_out)})"
    return f"searched (level {_line(member.group or '-')}, category {_line(member.category or '-')})"


def _few(names: Sequence[str]) -> str:
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(map(_line, names[:NAMED])) + more


def _shown(value: Any) -> str:
    """Write a value as a person reads it."""
    if value is None:
        return "none"
    return _line(value if isinstance(value, str) else json.dumps(value))


def _line(text: str) -> str:
    return " ".join(clean(text).split())[:LONGEST]
