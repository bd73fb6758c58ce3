"""A suite run on disk: one folder with what was asked for, and below it a run for every task."""

import hashlib
import json
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from archives.journal import FILE
from evo_kernel.config import Settings
from evo_kernel.errors import RunError
from evo_kernel.suite.survey import ROOTLESS

ABOUT = "suite.json"
HELD_OUT = "held_out.json"
EAGER = "eager.json"
_FORM = 1
_NEEDED = ("target", "basis", "mode")
_COUNTED = ("generations", "population")


def require_outside(suite: str, root: str | Path | None, places: Mapping[str, str | Path | None]) -> None:
    """Refuse to write within a checkout, which is never written to; the root of native tasks is the user's own folder.

    `places` are by what they are for; None: nothing is written.
    """
    if root is None or suite == ROOTLESS:
        return
    for what, place in places.items():
        if place is not None and Path(place).resolve().is_relative_to(Path(root).resolve()):
            raise RunError(f"{what} {place} lies in the checkout {root}, which is never written to: name another")


def require_unused(folder: Path) -> None:
    """Refuse the folder of a search: its kernels and report would lie among those of the suite run."""
    if (folder / FILE).exists():
        raise RunError(f"{folder} holds the run of a search: name another folder for the suite run")


def places(folder: Path, settings: Settings) -> dict[str, str | Path | None]:
    """Return where a search writes, by what it is for."""
    return {"the folder of the run": folder, "the file of lessons": settings.lessons,
            "the file of answers": settings.record}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Member:
    """One task of a suite run; `left_out` says why it is not searched."""

    name: str
    group: str | None = None
    category: str | None = None
    left_out: str | None = None


@dataclass(frozen=True, slots=True)
class SuiteRun:
    """What was asked for: a suite's tasks, a budget of evaluations for all of them, and how each is searched."""

    suite: str
    root: str | None
    members: tuple[Member, ...]
    budget: int  # evaluations of all searches together
    settings: Mapping[str, Any]  # of every search; `generations` are those of one turn
    texts: str = ""  # digest of the tasks' programs, tests and files; older versions kept none
    notes: tuple[str, ...] = ()  # on the checkout as it was then; older versions kept none

    @property
    def turn(self) -> int:
        """Evaluations of one turn."""
        return int(self.settings["generations"]) * int(self.settings["population"])

    @property
    def turns(self) -> int:
        """How many turns the budget pays."""
        return self.budget // self.turn

    @property
    def searched(self) -> tuple[Member, ...]:
        """The tasks that are searched."""
        return tuple(m for m in self.members if m.left_out is None)


def write(folder: Path, asked: SuiteRun) -> None:
    """Begin a suite run; a reader never sees half of it."""
    plain = {"form": _FORM, **asdict(asked)}
    put(folder / ABOUT, json.dumps(plain, indent=1, sort_keys=True) + "\n")


def read(folder: Path) -> SuiteRun:
    """Read what a suite run was asked for."""
    try:
        plain = json.loads((folder / ABOUT).read_text(encoding="utf-8"))
        if plain.pop("form") != _FORM:
            raise RunError(f"{folder} is a suite run of another version of evo-kernel")
        members = tuple(Member(**m) for m in plain.pop("members"))
        notes = tuple(plain.pop("notes", ()))
        found = SuiteRun(members=members, notes=notes, **plain)
        _look(found)
        return found
    except FileNotFoundError as error:
        raise RunError(f"{folder} holds no suite run: it has no {ABOUT}") from error
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise RunError(f"{folder / ABOUT} is no record of a suite run: {error}") from error


def _look(found: SuiteRun) -> None:
    """Raise ValueError for a record that is not as one is written: somebody changed it."""
    for member in found.members:
        if not all(_is_text(told) for told in (member.group, member.category, member.left_out) if told is not None):
            raise ValueError(f"the group, category or reason of {member.name!r:.100} is no text")
    names = [m.name for m in found.members]
    if strange := [name for name in names if not _is_text(name) or name in ("", ".", "..")]:
        raise ValueError(f"{strange[0]!r:.100} is no name of a task")
    if twice := [name for name, count in Counter(names).items() if count > 1]:
        raise ValueError(f"the task {twice[0]!r:.100} is in it twice")
    if lacking := [key for key in (*_NEEDED, *_COUNTED) if key not in found.settings]:
        raise ValueError(f"its settings lack {', '.join(lacking)}")
    given = {"suite": found.suite, "texts": found.texts, **{key: found.settings[key] for key in _NEEDED}}
    given |= {} if found.root is None else {"root": found.root}
    if strange := [key for key, told in given.items() if not _is_text(told)]:
        raise ValueError(f"{strange[0]} is no text")
    if not all(map(_is_text, found.notes)):
        raise ValueError("a note on its checkout is no text")
    counted = {"budget": found.budget, **{key: found.settings[key] for key in _COUNTED}}
    if strange := [key for key, number in counted.items() if type(number) is not int or number < 1]:
        raise ValueError(f"{strange[0]} is no number of 1 or more")


def _is_text(found: Any) -> bool:
    """Tell whether this is text that can be written; half a letter, as JSON's escapes may leave, cannot."""
    return isinstance(found, str) and found.encode(errors="replace").decode() == found


def exists(folder: Path) -> bool:
    """Tell whether a folder holds a suite run."""
    return (folder / ABOUT).is_file()


def run_of(folder: Path, member: Member) -> Path:
    """Return the folder of one task's run; names that would share one have a digest behind them."""
    plain = re.fullmatch(r"[\w.-]+(/[\w.-]+)*", member.name) and "__" not in member.name
    own = "" if plain else "-" + hashlib.sha256(member.name.encode()).hexdigest()[:8]
    return folder / "tasks" / (re.sub(r"[^\w.-]+", "__", member.name) + own)


def put(path: Path, text: str) -> None:
    """Write a file whole or not at all."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(path.name + ".partial")
        partial.write_text(text, encoding="utf-8")
        partial.replace(path)
    except OSError as error:
        raise RunError(f"cannot write {path}: {error}") from error
