"""Lays beside each other what a suite's own tests and our judge say of what a suite run found."""

from collections.abc import Sequence
from typing import Any

from evo_kernel import metrics
from evo_kernel.suite.cells import FAST, Cell, parts, percent, share, table, times
from evo_kernel.suite.rows import Row
from evo_kernel.suite.survey import ROOTLESS

THEIRS = (
    "What each search hands in: its best program, else its fastest right one, else its newest that ran; where it made "
    "none of these, the program that came with the task. Theirs is the suite's own test with its tolerances, in open "
    "mode: for numbers to lay beside published ones. Its measures count what searches made alone, one program for each "
    "task, so that execution accuracy is pass@1; times are over those of the suite's own kernel. Of a PyTorch "
    "function, calls of other forms than the task's are answered by the suite's own function."
)
TIMED = (
    "Their GEAK speedup and fast_p are from the suite's own performance tests in {theirs} tasks (untrusted-host: "
    "claims of the processes that ran the programs), and from our cases in {ours}, for want of those."
)
FLAGGED = (
    "Flagged: {tasks}. There the suite's own test passes a program that launches nothing too, or zeros for a PyTorch "
    "module: that it takes a program for right says nothing, and the measures by their tests count it all the same."
)

UNASKED = (
    "Not asked: {tasks}. Whether the suite's own test passes a program that computes nothing there too is not known: "
    "an older version judged them, and the suite run given again asks."
)


def by_theirs(rows: Sequence[Row]) -> dict[str, Any] | None:
    """Return the measures by the suite's own tests, of one program for each task; None where nobody asked them."""
    asked = [r.handed for r in rows if r.handed is not None and r.handed.theirs is not None]
    if not asked:
        return None
    results = [r.result_by_theirs for r in rows]
    timed = sum(bool(row.timed_by_theirs and result.latencies) for row, result in zip(rows, results, strict=True))
    said = [one.theirs for one in asked if one.theirs is not None]
    flagged, unasked = sum(one.flagged is True for one in said), sum(one.unasked for one in said)
    return {
        "judged": sum(one.passed is not None for one in said),
        "flagged": None if unasked and unasked == sum(one.passed is True for one in said) else flagged,
        "flags_not_asked": unasked,
        "timed_by_theirs": timed,
        "timed_by_ours": sum(bool(r.latencies) for r in results) - timed,
        "call_accuracy": metrics.call_accuracy(results),
        "execution_accuracy": metrics.execution_accuracy(results),
        "geak_speedup": metrics.mean_speedup(results),
        "fast_p": {f"{p:g}": metrics.fast_p(results, p) for p in FAST},
    }


def verdicts(report: dict[str, Any]) -> list[str]:
    """Return what both judges say of what each search hands in, and the tasks where they differ, with the reasons."""
    if report["suite"] == ROOTLESS:
        return []
    lines = ["## Theirs and ours", "", THEIRS, ""]
    measured = [{"name": part["name"], "tasks": part["tasks"], **part["theirs"]} for part in parts(report)
                if part["theirs"] is not None]  # fmt: skip
    lines += [*table(_BY_THEIRS, measured), ""] if measured else ["Their tests were not asked.", ""]
    lines += _timed(report)
    lines += [*table(_VERDICT, report["tasks"]), "", *_flagged(report)]
    lines.append(f"They differ in {len(report['differing'])} tasks.")
    for task in report["tasks"]:
        if task["name"] in report["differing"]:
            one = task["handed"]
            lines.append(f"- {task['name']}: ours {_said(one['ours'])}{_because(one['why'])}; theirs "
                         f"{_said(one['theirs']['passed'])}{_because(one['theirs']['why'])}")  # fmt: skip
    return [*lines, ""]


def _flagged(report: dict[str, Any]) -> list[str]:
    """Say which verdicts of theirs say nothing, and of which nobody knows."""
    told = {FLAGGED: report["flagged"], UNASKED: report["flags_not_asked"]}
    return [line for words, tasks in told.items() if tasks for line in (words.format(tasks=", ".join(tasks)), "")]


def _timed(report: dict[str, Any]) -> list[str]:
    """Say whose tests the speedups are from, and of which tasks theirs gave none and why."""
    measured = report["all"]["theirs"]
    if measured is None or not measured["timed_by_theirs"] + measured["timed_by_ours"]:
        return []
    lines = [TIMED.format(theirs=measured["timed_by_theirs"], ours=measured["timed_by_ours"])]
    for task in report["tasks"]:
        times = ((task["handed"] or {}).get("theirs") or {}).get("times")
        if times and times["why"]:
            lines.append(f"- {task['name']}: no times of theirs: {times['why']}")
    return [*lines, ""]


def _said(passed: bool | None) -> str:
    return {True: "right", False: "wrong", None: "not judged"}[passed]


def _because(why: str) -> str:
    return f" ({why})" if why else ""


def _by(task: dict[str, Any]) -> str:
    """Say what the suite's own test makes of what a search hands in."""
    told = task["handed"] and task["handed"]["theirs"]
    if told and told["flagged"]:
        return "right, but so is a program that launches nothing"
    if told and told["passed"] and told["flagged"] is None:
        return "right, and not asked whether a program that launches nothing is too"
    if not told or told["passed"] is not False:
        return f"{_said(told['passed'])}{_because(told['why'])}" if told else "not judged"
    return "wrong" if told["called"] else f"does not run{_because(told['why'])}"


def _ours(handed: dict[str, Any] | None, by: str) -> str:
    """Say what our judge makes of it, or why it could not be asked."""
    if handed is None:
        return _said(None)
    return str(handed["why"]) if by == "theirs" else _said(handed["ours"])


def _flags(row: dict[str, Any]) -> str:
    """Say how many verdicts say nothing, and of how many nobody knows."""
    told = [] if row["flagged"] is None else [str(row["flagged"])]
    left = row["flags_not_asked"]
    return ", ".join([*told, *([f"{left} not asked" if told else "not asked"] if left else [])])


def _theirs_twice(task: dict[str, Any]) -> str:
    """Return the speedup by their own performance tests, and the reference's own: what their clock is worth."""
    worth = task["their_clock"]
    if worth is None:
        return times(task["their_geak_speedup"])
    mean, low, high = worth
    return f"{times(task['their_geak_speedup'])} (reference beside itself {mean:.3f}x, {low:.2f}x to {high:.2f}x)"


_BY_THEIRS: dict[str, Cell] = {
    "by their tests": lambda r: str(r["name"]),
    "tasks": lambda r: str(r["tasks"]),
    "judged": lambda r: str(r["judged"]),
    "flagged": _flags,
    "call": lambda r: percent(r["call_accuracy"]),
    "execution": lambda r: percent(r["execution_accuracy"]),
    "GEAK speedup": lambda r: times(r["geak_speedup"]),
    **{f"fast_{p:g}": share("fast_p", f"{p:g}") for p in FAST},
}
_VERDICT: dict[str, Cell] = {
    "task": lambda t: str(t["name"]),
    "handed in": lambda t: t["handed"]["operator"] if t["handed"] else "nothing",
    "ours": lambda t: _ours(t["handed"], t["by"]),
    "theirs": _by,
    "their times": _theirs_twice,
    "on": lambda t: ((t["handed"] and t["handed"]["theirs"]) or {}).get("device") or "-",
}
