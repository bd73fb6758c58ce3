"""Runs a suite's references without a GPU, several at once, and keeps what was found so that a check can be resumed."""

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from evo_kernel.errors import RunError
from evo_kernel.suite.jails import Jails
from evo_kernel.suite.tasks import quarantined_by_its_test, why_not
from evo_kernel.suite.theirs import LOST
from fitness import modules, ours
from fitness.foreign import FLAVOUR, SECONDS, Checked, check
from fitness.jail import Jail, WorkerLost
from suites import TaskError
from suites.foreign import Loaded

_TOLD = ("file", "group", "instruction", "category", "untimed")  # of a task: no check depends on it
_FORM = "6"  # of a check and of the file; results of another form are not taken over
_AUDITS = {
    "vacuous": "its test passes with every launch left out",
    "empty": "its result holds no values, only None, integers and shapes",
}
_AND_YET = "and yet a task of ours, which their test is no part of: our own gates refuse zeros"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a person asked for."""

    workers: int = 1
    seconds: float = SECONDS
    results: Path | None = None
    turned: str = ""  # the suite, where its tasks are also made tasks of ours


def run(tasks: Sequence[Loaded], wanted: Wanted, say: Callable[[str], None]) -> list[Checked]:
    """Check tasks, those in the results file excepted; return what was found in the order of the tasks.

    What is said of a task whose servers were lost is nobody's verdict: it is not kept.
    """
    keys = {t.name: _key(t, wanted.seconds, wanted.turned) for t in tasks}
    known = _known(wanted.results)
    found = {t.name: known[keys[t.name]] for t in tasks if keys[t.name] in known}
    if found:
        say(f"{len(found)} of {len(tasks)} tasks are in {wanted.results} already")
    for checked in _checked([t for t in tasks if t.name not in found], wanted):
        found[checked.name] = checked
        if not lost(checked):
            _keep(wanted.results, keys[checked.name], checked)
        say(f"[{len(found)}/{len(tasks)}] {line(checked)}")
    return [found[t.name] for t in tasks]


def _checked(tasks: Sequence[Loaded], wanted: Wanted) -> Iterator[Checked]:
    """Check tasks in as many jails as there are workers, and yield verdicts as they come."""
    if not tasks:
        return
    jails = Jails(FLAVOUR, min(wanted.workers, len(tasks)))

    def one(task: Loaded) -> Checked:
        try:
            return jails.use(lambda jail: _turned(check(task, jail, wanted.seconds), task, jail, wanted))
        except WorkerLost as error:
            return Checked(task.name, False, f"{LOST}{error}", 0.0)

    pool = ThreadPoolExecutor(wanted.workers)
    try:
        for done in as_completed([pool.submit(one, task) for task in tasks]):
            yield done.result()
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
        jails.close()


def _turned(checked: Checked, task: Loaded, jail: Jail, wanted: Wanted) -> Checked:
    """Add whether a task can be one of ours, by the rule that makes them: what passes without launches is none."""
    if not wanted.turned or task.style == "native":
        return checked
    why = why_not(task, models=True)
    if why is None and checked.flagged and quarantined_by_its_test(task):
        why = f"{ours.QUARANTINED}{_AUDITS[checked.audit]}"
    if why is None:
        try:
            ours.turn(wanted.turned, task, jail, wanted.seconds)
        except TaskError as error:
            why = str(error)
    return replace(checked, ours=why or "")


def _key(task: Loaded, seconds: float, turned: str) -> str:
    """Name a check by all that it depends on."""
    text = json.dumps(
        [_FORM, turned, seconds, *(getattr(task, part) for part in Loaded.__slots__ if part not in _TOLD)]
    )
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _known(file: Path | None) -> dict[str, Checked]:
    """Read what was kept; a line that a kill cut off is left out."""
    if file is None or not file.exists():
        return {}
    found = {}
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise RunError(f"results file {file} cannot be read: {error}") from error
    for number, text in enumerate(lines, 1):
        try:
            row = json.loads(text)
            key = str(row.pop("key"))
            checked = Checked(**row)
            if not lost(checked):  # older versions kept it
                found[key] = checked
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            if number < len(lines):
                raise RunError(f"results file {file}, line {number}: no result of a check") from error
    return found


def lost(checked: Checked) -> bool:
    """Tell whether a task was not checked, since servers were lost over it."""
    return checked.why.startswith(LOST)


def _keep(file: Path | None, key: str, checked: Checked) -> None:
    """Append one result; begin on a line of its own where a kill left half of one."""
    if file is None:
        return
    try:
        with open(file, "a+b") as target:
            size = target.seek(0, 2)
            if size:
                target.seek(size - 1)
                if target.read(1) != b"\n":
                    _cut(target)
            target.write(json.dumps({"key": key, **asdict(checked)}).encode() + b"\n")
    except OSError as error:
        raise RunError(f"results file {file} cannot be written: {error}") from error


def _cut(target: Any) -> None:
    """Drop the half line at the end."""
    target.seek(0)
    target.truncate(target.read().rfind(b"\n") + 1)


def line(checked: Checked) -> str:
    """Say what became of one task."""
    state = "runs" if checked.ran else f"does not run: {checked.why}"
    flag = f"; FLAGGED: {_AUDITS[checked.audit]}" if checked.flagged else ""
    unlike = "; not equal to itself under their comparison" if checked.itself is False else ""
    same = "; the same results under another seed" if checked.varies is False else ""
    same += "; other results in a second run on poisoned memory" if checked.repeats is False else ""
    smaller = f"; audited on smaller inputs: {checked.inputs}" if _smaller(checked) else ""
    smaller += f"; run again on smaller inputs{again}" if (again := checked.inputs.partition(", and again")[2]) else ""
    smaller += f"; not audited: {checked.unaudited}" if checked.unaudited else ""
    yes = f"; {_AND_YET if checked.flagged else 'a task of ours'}"
    own = {None: "", "": yes}.get(checked.ours, f"; no task of ours: {checked.ours}")
    return f"{checked.name}  {state} ({checked.seconds:.1f} s){flag}{unlike}{same}{smaller}{own}"


def plain(suite: str, found: Sequence[Checked]) -> dict[str, Any]:
    """Return what was found as JSON holds it."""
    rows = [asdict(c) | {"flagged": c.flagged} for c in found]
    return {"suite": suite, "checked": len(found), "ran": sum(c.ran for c in found),
            "smaller": [c.name for c in found if _smaller(c)],
            "unaudited": [c.name for c in found if c.audit == "unknown"],
            "flagged": [c.name for c in found if c.flagged], "turned": sum(c.ours == "" for c in found),
            "quarantined": [c.name for c in found if _quarantined(c)], "tasks": rows}  # fmt: skip


def _quarantined(checked: Checked) -> bool:
    return (checked.ours or "").startswith(ours.QUARANTINED)


def text(suite: str, found: Sequence[Checked]) -> str:
    """Return what was found as lines: how many run, why the others do not, and whose tests test nothing."""
    ran = sum(c.ran for c in found)
    lines = [f"{suite}: {ran} of {len(found)} references run under the interpreter"]
    for why, count in Counter(_kind(c) for c in found if not c.ran).most_common():
        names = ", ".join(c.name for c in found if not c.ran and _kind(c) == why)
        lines.append(f"  {count:>4}  {why}: {names}")
    for audit, words in _AUDITS.items():
        names = ", ".join(c.name for c in found if c.audit == audit)
        if names:
            lines.append(f"flagged, {words}: {names}")
    unlike = ", ".join(c.name for c in found if c.itself is False)
    if unlike:
        lines.append(f"not equal to itself under their comparison: {unlike}")
    fixed = ", ".join(c.name for c in found if c.varies is False)
    if fixed:
        lines.append(f"the same results under another seed: {fixed}")
    unsteady = ", ".join(c.name for c in found if c.repeats is False)
    if unsteady:
        lines.append(f"other results in a second run on poisoned memory: {unsteady}")
    lines += _ours(found)
    return "\n".join(lines + _inputs(found))


def _inputs(found: Sequence[Checked]) -> list[str]:
    """Say on which inputs modules were audited, and what was not audited for which reason."""
    smaller = [c.name for c in found if _smaller(c)]
    own = sum(c.inputs.startswith(modules.OWN) for c in found)
    lines = (
        [f"{own} modules were audited on their own inputs, {len(smaller)} on smaller ones"] if smaller or own else []
    )
    if smaller:
        lines.append(f"on smaller inputs: {', '.join(smaller)}")
    lines += [f"not audited, {c.name}: {c.unaudited}" for c in found if c.unaudited]
    idle = sum(c.audit == "unknown" and not c.ran for c in found)
    if idle:
        lines.append(f"{idle} tests could not be audited, as their references do not run")
    return lines


def _smaller(checked: Checked) -> bool:
    return bool(checked.inputs) and not checked.inputs.startswith(modules.OWN)


def _ours(found: Sequence[Checked]) -> list[str]:
    """Say how many are tasks of ours, and why the others are not."""
    tried = [c for c in found if c.ours is not None]
    if not tried:
        return []
    lines = [f"{sum(c.ours == '' for c in tried)} of {len(tried)} are tasks of ours"]
    if kept := [c.name for c in tried if c.ours == "" and c.flagged]:
        lines.append(f"flagged, and yet tasks of ours, where our own gates refuse zeros: {', '.join(kept)}")
    for why, count in Counter((c.ours or "").partition(":")[0] for c in tried if c.ours).most_common():
        lines.append(
            f"  {count:>4}  {why}: {', '.join(c.name for c in tried if (c.ours or '').partition(':')[0] == why)}"
        )
    return lines


def _kind(checked: Checked) -> str:
    """Return the part of a reason that many tasks share."""
    return checked.why.partition(":")[0]
