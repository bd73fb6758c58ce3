"""Reports a suite run, alone or beside another, as JSON, Markdown and a picture; the same run gives the same bytes."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from operator import itemgetter
from pathlib import Path
from typing import Any

from evo_kernel import metrics
from evo_kernel.errors import RunError
from evo_kernel.suite import plot
from evo_kernel.suite import rows as suite_rows
from evo_kernel.suite.cells import FAST, Cell, parts, percent, share, table, times, us
from evo_kernel.suite.folder import put, read
from evo_kernel.suite.rows import Row
from evo_kernel.suite.sides import by_theirs, verdicts
from evo_kernel.suite.standing import DAMAGED, WORDS
from evo_kernel.suite.survey import remark
from fitness.ours import QUARANTINED
from fitness.words import clean

KS = (1, 5, 10)  # of pass@k
EAGER = (
    "Where a task came with no kernel, published speedups compare with PyTorch eager, timed on the same device: the "
    "median of 20 calls from a cold cache, most of what launching costs the host left out. They are no paired ratio, "
    "and have no interval."
)
ALONE = (
    "{alone} of {tasks} tasks were judged by the suite's own test alone (judged by: theirs), as no task of ours can be "
    "made of them. Here they count as failing, below by their tests as what they are. Their times are what the suite's "
    "performance tests say (untrusted-host): they are compared with no others, and have no roofline and no held-out "
    "cases."
)
FEWER = (
    "pass@k is unbiased where a task has k programs; of one with fewer it is the chance that any of them is right: "
    "{fewer} of these tasks have fewer than {most}."
)
UNTRUSTED = "untrusted-host"  # who could have told any time
NAMES = ("report.json", "report.md", "report.svg")
_COSTS = ("evaluations", "calls", "tokens", "dollars", "gpu_seconds")


def plain(folder: Path) -> dict[str, Any]:
    """Return a suite run's report as plain data."""
    asked = read(folder)
    found = suite_rows.rows(folder, asked)
    groups = {g: [r for r in found if r.group == g] for g in sorted({r.group for r in found if r.group})}
    kinds = {c: [r for r in found if r.category == c] for c in sorted({r.category for r in found if r.category})}
    return {
        "suite": asked.suite,
        "notes": list(asked.notes),
        "budget": asked.budget,
        "turn": asked.turn,
        "target": asked.settings["target"],
        "basis": asked.settings["basis"],
        "mode": asked.settings["mode"],
        "all": measures(found),
        "levels": {name: measures(rows) for name, rows in groups.items()},
        "categories": {name: measures(rows) for name, rows in kinds.items()},
        "differing": [r.name for r in found if r.handed is not None and r.handed.differ],
        "flagged": [r.name for r in found if r.handed and r.handed.theirs and r.handed.theirs.flagged],
        "flags_not_asked": [r.name for r in found if r.handed and r.handed.theirs and r.handed.theirs.unasked],
        "damaged": [r.name for r in found if r.status == DAMAGED],
        "left_alone": [r.name for r in found if r.alone],
        "quarantined": [r.name for r in found if QUARANTINED in r.why],
        "tasks": [_task(row) for row in found],
    }


def measures(rows: Sequence[Row]) -> dict[str, Any]:
    """Return the published measures of some tasks, and what they cost."""
    results = [r.result for r in rows]
    return {
        "tasks": len(rows),
        "call_accuracy": metrics.call_accuracy(results),
        "execution_accuracy": metrics.execution_accuracy(results),
        "geak_speedup": metrics.mean_speedup(results),
        "fast_p": {f"{p:g}": metrics.fast_p(results, p) for p in FAST},
        "pass_at_k": {str(k): metrics.mean_pass_at_k(results, k) for k in KS},
        "held_out_pass_rate": metrics.held_out_rate(results),
        **{part: sum(getattr(r.made.spent, part) for r in rows) for part in _COSTS},
        **{
            f"{part}_to_first_correct": _mean([getattr(s, part) for r in rows if (s := r.made.to_first)])
            for part in _COSTS
        },
        **{f"{part}_to_best": _mean([getattr(s, part) for r in rows if (s := r.made.to_best)]) for part in _COSTS},
        "roofline": _mean([r.own_roofline for r in rows]),
        "tasks_with_regressions": sum(bool(r.regressions) for r in rows),
        "by_theirs_alone": sum(r.by == "theirs" for r in rows),
        "theirs": by_theirs(rows),
    }


def _task(row: Row) -> dict[str, Any]:
    cases = [{**asdict(c), "speedup": c.speedup} for c in row.cases]
    return {
        **asdict(row),
        "cases": cases,
        "regressions": list(row.regressions),
        "geak_speedup": metrics.speedup(row.result),
        "their_geak_speedup": metrics.speedup(row.result_by_theirs) if row.timed_by_theirs else None,
        "their_clock": row.their_clock,
        "total_speedup": metrics.total_speedup(row.result),
    }


def _mean(values: Sequence[float | None]) -> float | None:
    known = [v for v in values if v is not None]
    return sum(known) / len(known) if known else None


def write(folder: Path, out: Path, other: Path | None = None) -> str:
    """Write report.json, report.md and report.svg; return the Markdown."""
    own = folder.resolve().name
    reports = {own: plain(folder)}
    if other is not None:
        name, beside = other.resolve().name, plain(other)
        if not {t["name"] for t in beside["tasks"]} & {t["name"] for t in reports[own]["tasks"]}:
            suites = f"{folder} is a run of {reports[own]['suite']}, {other} one of {beside['suite']}"
            raise RunError(f"{suites}: they have no task in common to compare")
        reports[name if name != own else f"{name} (2)"] = beside
    told = markdown(reports)
    data: Any = reports if other is not None else reports[own]
    curves = {name: [_gained(t) for t in one["tasks"]] for name, one in reports.items()}
    for name, text in zip(NAMES, (json.dumps(data, indent=1) + "\n", told, plot.svg(curves)), strict=True):
        put(out / name, text)
    return told


def markdown(reports: dict[str, dict[str, Any]]) -> str:
    """Return the first report for a person; where there is another, both stand side by side first."""
    reports = _lined(reports)
    report, *others = reports.values()
    claimed = f", {UNTRUSTED}" if report["mode"] == "open" else ""
    lines = [
        f"# {report['suite']} for {report['target']}: times are {report['basis']}{claimed}",
        "",
        f"Budget: {report['budget']} evaluations, {_turns(report)}. Right means that every gate of the judge was "
        "passed; programs that came with a task count as baselines alone.",
        "",
    ]
    for one in reports.values():
        lines += [f"{told}.", ""] if (told := remark(one["suite"], one["notes"])) else []
    if report["damaged"]:
        lines += [f"Damaged: {', '.join(report['damaged'])}. What to do stands below, with the reasons.", ""]
    if report["left_alone"]:
        lines += [f"Left alone: {', '.join(report['left_alone'])}. The reasons stand below.", ""]
    for other in others:
        lines += _beside(report, other, tuple(reports))
    if any(t["eager_us"] for t in report["tasks"]):
        lines += [EAGER, ""]
    lines += _overview(report)
    lines += ["## Tasks", "", *table(_TASK, report["tasks"]), "", *verdicts(report), *_costs(report)]
    unlucky = [t for t in report["tasks"] if t["regressions"]]
    lines += [f"- {t['name']}: slower than {'its seed' if t['seed_us'] else 'PyTorch'} on {', '.join(t['regressions'])}"
              for t in unlucky]  # fmt: skip
    lines += [f"- {t['name']}: held out, {t['held_out_why']}" for t in report["tasks"] if t["held_out_why"]]
    lines += [f"- {t['name']}: {t['why']}" for t in report["tasks"] if t["why"]]
    lines += ["", *(f"- {word}: {meaning}" for word, meaning in WORDS.items())]
    return "\n".join(lines) + "\n"


def _turns(report: dict[str, Any]) -> str:
    """Say how many turns the budget pays, and what it does not."""
    turns, rest = divmod(report["budget"], report["turn"])
    left = f"; {rest} are less than a turn, and nobody's" if rest else ""
    return f"which are {turns} turn{'s' if turns != 1 else ''} of {report['turn']}{left}"


def _overview(report: dict[str, Any]) -> list[str]:
    """Return the measures of all tasks, by level and by category."""
    alone = report["all"]["by_theirs_alone"]
    told = [ALONE.format(alone=alone, tasks=report["all"]["tasks"]), ""] if alone else []
    fewer = sum(t["made"]["evaluations"] < max(KS) for t in report["tasks"])
    lines = ["## Measures, by our judge", "", *told, *table(_MEASURE, parts(report)), ""]
    return [*lines, FEWER.format(fewer=fewer, most=max(KS)), ""] if fewer else lines


def _gained(task: dict[str, Any]) -> float | None:
    """Return a task's speedup by our judge."""
    gained: float | None = None if task["by"] == "theirs" else task["speedup"] or task["total_speedup"]
    return gained


def _costs(report: dict[str, Any]) -> list[str]:
    """Return what it took: to the first right program, to the best and in all, by task too."""
    tasks = []
    for task in report["tasks"]:
        ways = {"": task["made"]["spent"], "_to_first_correct": task["made"]["to_first"],
                "_to_best": task["made"]["to_best"]}  # fmt: skip
        found = {f"{part}{way}": None if spent is None else spent[part] for way, spent in ways.items()
                 for part in _COSTS}  # fmt: skip
        tasks.append({"name": task["name"], **found})
    about = "To the first right program that the search made, to the best where that is no seed, and in all; above " \
            "single tasks, means of those that have one, and sums."  # fmt: skip
    return ["## Cost", "", about, "", *table(_COST, [*parts(report), *tasks]), ""]


def _lined(found: Any) -> Any:
    """Return plain data in which every text is one line, without what would steer a terminal: names may hold either."""
    if isinstance(found, dict):
        return {_lined(key): _lined(value) for key, value in found.items()}
    if isinstance(found, (list, tuple)):
        return [_lined(value) for value in found]
    return clean(found).replace("\n", "?") if isinstance(found, str) else found


def _beside(report: dict[str, Any], other: dict[str, Any], names: tuple[str, ...]) -> list[str]:
    """Return two runs side by side: measures, then every task that both have, then those that one has alone."""
    first, second = names
    rows = [{"name": n, **r["all"]} for n, r in zip(names, (report, other), strict=True)]
    mine, theirs = ({t["name"]: t for t in r["tasks"]} for r in (report, other))
    asked = [{"name": n, **r, "mode": _mode(r)} for n, r in zip(names, (report, other), strict=True)]
    lines = ["## Side by side", "", *table(_ASKED, asked), "", *table(_MEASURE, rows), "", *table(_COST, rows), ""]
    if any(report[part] != other[part] for part in ("target", "basis", "mode")):
        return [*lines, "Their times are of different chips, bases or modes: tasks are not laid side by side.", ""]
    lines += [f"| task | {first}, us | {second}, us | {first} / {second} |", "|---|---|---|---|"]
    both = [n for n in mine if n in theirs]
    changed = [n for n in both if mine[n]["task"] != theirs[n]["task"] and mine[n]["task"] and theirs[n]["task"]]
    for name in both:
        one, two = mine[name]["best_us"], theirs[name]["best_us"]
        ours = {mine[name]["by"], theirs[name]["by"]} == {"ours"}  # theirs: both are the luckiest of many times
        ratio = f"{one / two:.3f}" if one and two and ours and name not in changed else "-"
        lines.append(f"| {name} | {us(one)} | {us(two)} | {ratio} |")
    if changed:
        lines.append(f"\nOf one name, but with other text in the two runs, so not divided: {', '.join(changed)}")
    alone = {n: [t for t in a if t not in b] for n, a, b in ((first, mine, theirs), (second, theirs, mine))}
    lines += [f"\nOnly in {name}: {', '.join(found)}" for name, found in alone.items() if found]
    return [*lines, ""]


def _mode(report: dict[str, Any]) -> str:
    """Return a run's mode, with what its times are worth."""
    return f"open ({UNTRUSTED})" if report["mode"] == "open" else str(report["mode"])


def _gain(task: dict[str, Any]) -> str:
    within = task["interval"]
    return times(task["speedup"]) + ("" if within is None else f" [{within[0]:.3f}, {within[1]:.3f}]")


def _cost(part: str, digits: int) -> Cell:
    """Return the cell of one cost: to the first right program / to the best / in all."""
    keys = (f"{part}_to_first_correct", f"{part}_to_best", part)
    return lambda row: " / ".join("-" if row[k] is None else f"{round(row[k], digits):,.9g}" for k in keys)


_COST: dict[str, Cell] = {
    "": lambda r: str(r["name"]),
    "evaluations": _cost("evaluations", 1),
    "calls of models": _cost("calls", 1),
    "tokens": _cost("tokens", 0),
    "dollars": _cost("dollars", 4),
    "GPU seconds": _cost("gpu_seconds", 1),
}
_ASKED: dict[str, Cell] = {
    "": lambda r: str(r["name"]),
    **{part: itemgetter(part) for part in ("suite", "target", "basis", "mode")},
    "budget": lambda r: str(r["budget"]),
}
_MEASURE: dict[str, Cell] = {
    "": lambda r: str(r["name"]),
    "tasks": lambda r: str(r["tasks"]),
    "call": lambda r: percent(r["call_accuracy"]),
    "execution": lambda r: percent(r["execution_accuracy"]),
    "GEAK speedup": lambda r: times(r["geak_speedup"]),
    **{f"fast_{p:g}": share("fast_p", f"{p:g}") for p in FAST},
    **{f"pass@{k}": share("pass_at_k", str(k)) for k in KS},
    "held out": lambda r: percent(r["held_out_pass_rate"]),
    "of roofline": lambda r: percent(r["roofline"]),
}
_TASK: dict[str, Cell] = {
    "task": lambda t: str(t["name"]),
    "level": lambda t: t["group"] or "-",
    "judged by": lambda t: str(t["by"]),
    "status": lambda t: str(t["status"]),
    "right / made": lambda t: f"{t['made']['correct']} / {t['made']['evaluations']}",
    "seed us": lambda t: us(t["seed_us"]),
    "PyTorch us": lambda t: us(t["eager_us"]),
    "best us": lambda t: us(t["best_us"]),
    "speedup": _gain,
    "GEAK speedup": lambda t: times(t["geak_speedup"]),
    "of roofline": lambda t: percent(t["roofline"]),
    "held out": lambda t: t["held_out"] or "-",
}
