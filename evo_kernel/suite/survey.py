"""Says what a checkout of a suite holds: tasks by level, what can be used, and why the rest cannot."""

import difflib
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from fitness.words import clean
from suites.foreign import Loaded, SuiteError, loader, loaders, unused
from suites.loading import ALIASES

ROOTLESS = "native"
NAMED = 5  # tasks listed with a reason, and remarks in one line


@dataclass(frozen=True, slots=True)
class Survey:
    """A suite as it was found at a root."""

    suite: str
    tasks: tuple[Loaded, ...]
    notes: tuple[str, ...]


def survey(name: str, root: Path | None) -> Survey:
    """Read a whole checkout."""
    found = loader(name)
    if root is None and name != ROOTLESS:
        below = f": a folder with {', '.join(found.looks_for)} below it" if found.looks_for else ""
        raise SuiteError(f"suite {name} needs --root CHECKOUT{below}")
    place: Any = root  # None for the native tasks alone
    tasks = tuple(map(_written, found.load(place)))
    if not tasks:
        looked = f"looked in {', '.join(found.looks_for)}" if found.looks_for else "the folder was looked through"
        raise SuiteError(f"suite {name}: {root} holds no task of it: {looked}")
    return Survey(name, tasks, tuple(map(_whole, (*found.notes(place), *unused(name)))))


def _written(task: Loaded) -> Loaded:
    """Return a task that can be written; one of whose texts holds half a letter cannot be used, nor shown as it is.

    Why it cannot be used is one line, whoever wrote the loader.
    """
    if task.problem:
        task = replace(task, problem=" ".join(task.problem.split()))
    strange = {part: told for part, text in asdict(task).items() if (told := _whole(text)) != text}
    if not strange:
        return task
    return replace(task, **{**strange, "problem": f"no text that can be written: its {', '.join(sorted(strange))}"})


def _whole(found: Any) -> Any:
    """Return texts with a sign in place of every half of a letter, as escapes and bytes that are no UTF-8 leave."""
    if isinstance(found, tuple):
        return tuple(map(_whole, found))
    return found.encode(errors="replace").decode() if isinstance(found, str) else found


def chosen(tasks: tuple[Loaded, ...], names: tuple[str, ...]) -> tuple[Loaded, ...]:
    """Return the tasks of these names, or all where none is given; SuiteError for a name that is none."""
    known_names = [t.name for t in tasks]
    names = tuple(ALIASES[n] if n not in known_names and ALIASES.get(n) in known_names else n for n in names)
    for name in names:
        if name not in known_names:
            near = ", ".join(difflib.get_close_matches(name, known_names, n=3, cutoff=0.4)) or "none"
            raise SuiteError(f"no task named {name!r} in this suite (nearest: {near})")
    return tuple(t for t in tasks if not names or t.name in names)


def require_theirs(tasks: tuple[Loaded, ...], root: Path | None, program: Path | None = None) -> None:
    """Refuse native tasks where another suite's own tests are asked, and say what does apply."""
    if not all(task.style == "native" for task in tasks):
        return
    one = tasks[0].name if len(tasks) == 1 else "TASK"
    named = one if root is None else str(root / (tasks[0].file if len(tasks) == 1 else "TASK.py"))
    checked = f"evo-kernel tasks check {named}, which judges the seeds and says what wrong programs would pass"
    says = checked if program is None else f"evo-kernel judge {program} --task {named}"
    raise SuiteError(f"a native task has no test of another suite, our judge alone asks it: {says}")


def known() -> tuple[list[tuple[str, str, tuple[str, ...]]], tuple[str, ...]]:
    """List every suite's name, what it is, and what is looked for below a root; and why any cannot be used."""
    found, broken = loaders()
    return [(name, one.about, one.looks_for) for name, one in found.items()], broken


def remark(suite: str, notes: Sequence[str]) -> str:
    """Return in one line what is to be known of a checkout before figures are made with it; empty where nothing is."""
    more = f"; and {len(notes) - NAMED} more, see `suite show {suite}`" if len(notes) > NAMED else ""
    told = " ".join(clean("; ".join(notes[:NAMED])).split())
    return f"note on this checkout of {suite}: {told}{more}" if notes else ""


def plain(found: Survey) -> dict[str, Any]:
    """Return a survey as JSON holds it; programs are left out, their sizes stay."""
    tasks = []
    for task in found.tasks:
        row = asdict(task)
        row |= {part: len(row[part]) for part in ("source", "tests", "instruction")}
        row["timing"] = [path for path, _ in task.timing]
        tasks.append({"loaded": task.problem is None, **row})
    loaded = sum(t.problem is None for t in found.tasks)
    return {"suite": found.suite, "count": len(tasks), "loaded": loaded, "notes": list(found.notes), "tasks": tasks}


def text(found: Survey, every: bool = False) -> str:
    """Return a survey as a table by level, with every reason and whom it concerns; `every` lists all tasks."""
    good = sum(t.problem is None for t in found.tasks)
    lines = [f"{found.suite}: {len(found.tasks)} tasks, {good} loaded", f"{'level':<12} {'tasks':>6} {'loaded':>7}"]
    for group in sorted({t.group or "-" for t in found.tasks}):
        inside = [t for t in found.tasks if (t.group or "-") == group]
        lines.append(f"{group:<12} {len(inside):>6} {sum(t.problem is None for t in inside):>7}")
    lines += _reasons("not loaded:", [(t.name, t.problem) for t in found.tasks if t.problem])
    lacking = [(t.name, lacks(t)) for t in found.tasks if t.needs]
    lines += _reasons("loaded, and cannot run here:", lacking)
    untimed = [(t.name, t.untimed) for t in found.tasks if t.untimed and not t.problem]
    lines += _reasons("loaded, and not timed as the suite does:", untimed)
    lines += [f"note: {note}" for note in found.notes]
    lines = [clean(line).replace("\n", "?") for line in lines]  # names come from files of theirs
    return "\n".join([*lines, *(listed(found.tasks) if every else ())])


def listed(tasks: Sequence[Loaded]) -> list[str]:
    """Return a line for every task: its name, its level, and what it is or why it cannot be used."""
    return [clean(f"{t.name:<40} {t.group or '-':<8} {_said(t)}").replace("\n", "?") for t in tasks]


def _said(task: Loaded) -> str:
    """Say what a task is, or why it cannot be used."""
    told = [task.category] if task.category else []
    return task.problem or "; ".join([*told, ", ".join(task.entries)])


def lacks(task: Loaded) -> str:
    """Say which packages a task needs that are not here."""
    return f"needs {', '.join(task.needs)}, not installed here"


def _reasons(title: str, found: list[tuple[str, str]]) -> list[str]:
    """List every reason with its count and the first few it concerns."""
    lines = [title] if found else []
    for reason, count in Counter(why for _, why in found).most_common():
        names = [name for name, why in found if why == reason]
        more = f" and {count - NAMED} more" if count > NAMED else ""
        lines.append(f"  {count:>4}  {reason}: {', '.join(names[:NAMED])}{more}")
    return lines
