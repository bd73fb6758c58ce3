"""Turns a run's state into what a person or a machine reads: `show` and `--json`."""

from typing import Any

from archives.archive import Entry
from evo_kernel.runs import State


def summary(state: State) -> dict[str, Any]:
    """Return a run as plain data; every time says that it was predicted."""
    search, archive = state.search, state.search.archive
    seeds = [archive[s] for s in search.seeds if s in archive]
    seed_us = min((e.score_us for e in seeds if e.candidate.operator == "seed"), default=None)
    best = archive[archive.best] if archive.best else None
    return {
        "task": state.task.name,
        "target": state.settings.target,
        "basis": "predicted",
        "generations": search.generations,
        "population": search.population,
        "evaluations": search.evaluations,
        "budget": search.budget,
        "done": search.done and not search.pending,
        "exhausted": search.exhausted,
        "seed_predicted_us": seed_us,
        "best": None if best is None else entry(best),
        "gain_over_seed": None if best is None or seed_us is None else seed_us / best.score_us,
        "passed": len(archive),
        "same_code": archive.twins,
        "nothing_new": search.refusals,
        "failures": dict(sorted(archive.failures.items())),
        "elites": [entry(e) for e in archive.ranked()],
        "lineage": [] if best is None else [_step(e) for e in archive.lineage(best.candidate.id)],
    }


def entry(one: Entry) -> dict[str, Any]:
    """Return one program's verdict as plain data."""
    return {
        "id": one.candidate.id,
        "operator": one.candidate.operator,
        "intent": one.candidate.intent,
        "cell": list(one.cell),
        "predicted_us": one.score_us,
        "cases": [
            {
                "case": c.case,
                "predicted_us": c.time_us,
                "roofline_us": c.floor_us,
                "bound": c.bound,
                "error": c.error,
            }
            for c in one.evaluation.cases
        ],
        "isolation": one.evaluation.isolation,
    }


def _step(one: Entry) -> dict[str, Any]:
    return {
        "id": one.candidate.id, "operator": one.candidate.operator, "intent": one.candidate.intent,
        "predicted_us": one.score_us,
    }  # fmt: skip


def text(state: State) -> str:
    """Return `show` for a person."""
    s = summary(state)
    lines = [
        f"{s['task']} on {s['target']}: {s['evaluations']} of {s['budget']} evaluations, {s['passed']} passed, "
        f"{s['same_code']} compiled to known code, {s['nothing_new']} proposals had nothing new"
        + ("; the reachable space is used up" if s["exhausted"] else "")
    ]
    failures = ", ".join(f"{n} at {stage}" for stage, n in s["failures"].items()) or "none"
    lines.append(f"failures by stage: {failures}")
    best = s["best"]
    if best is None:
        return "\n".join([*lines, "no program has passed yet"])
    gain = f", {s['gain_over_seed']:.2f}x the seed's {s['seed_predicted_us']:.2f}" if s["gain_over_seed"] else ""
    lines.append(f"best so far: {best['id']}, predicted {best['predicted_us']:.2f} us (geometric mean{gain})")
    lines += [
        f"  {c['case']:<28} predicted {c['predicted_us']:>10.2f} us  roofline {c['roofline_us']:>9.2f} us  "
        f"{c['bound']} bound" for c in best["cases"]
    ]  # fmt: skip
    lines.append("elites, one per cell:")
    lines += [f"  {e['id'][:8]}  predicted {e['predicted_us']:>9.2f} us  {', '.join(e['cell'])}" for e in s["elites"]]
    lines.append("lineage of the best, newest first:")
    lines += [
        f"  {e['id'][:8]}  predicted {e['predicted_us']:>9.2f} us  {e['operator']}: {e['intent']}" for e in s["lineage"]
    ]
    return "\n".join(lines)
