"""Turns a run's state into what a person or a machine reads: `show` and `--json`."""

from collections import Counter
from dataclasses import asdict
from typing import Any

from archives.archive import Archive, Entry
from evo_kernel import measurement, model_report, stopping
from evo_kernel.bandit import Arm
from evo_kernel.runs import State
from evo_kernel.search import PASSED, SAME_CODE, Search
from fitness.evaluation import Basis, Evaluation, Mode
from fitness.feedback import label
from suites.foreign import by_theirs

HALL, SHOWN = 10, 3  # programs in the hall of fame: of the JSON, and of the text


def summary(state: State) -> dict[str, Any]:
    """Return a run as plain data; the name of every time says whether it was predicted or measured."""
    search, archive, basis = state.search, state.search.archive, state.settings.basis
    seed = measurement.baseline(state)
    best = archive[archive.best] if archive.best else None
    return {
        "task": state.task.name,
        "target": state.settings.target,
        "basis": basis,
        "mode": Mode.OPEN.value if state.settings.mode == "open" else Mode.SEALED.value,
        "generations": search.generations,
        "population": search.population,
        "evaluations": search.evaluations,
        "budget": search.budget,
        "done": search.done and not search.pending,
        "stop": search.stop,
        "wall_seconds": round(state.wall_seconds, 1),
        "gpu_seconds": round(search.gpu_seconds, 3),
        "limits": asdict(search.limits),
        "policy": state.settings.policy,
        "mechanisms": asdict(search.rules),
        "operators": {name: _arm(arm) for name, arm in search.bandit.arms.items()},
        "credit": search.credit.rows(),
        "models": model_report.rows(search.letters, state.settings.models),
        "exhausted": search.exhausted,
        f"seed_{basis}_us": None if seed is None else seed.score_us,
        "best": None if best is None else entry(best),
        "not_run": measurement.not_run(state),
        "gain_over_seed": None if best is None or seed is None else _gain(best, seed),
        **_fates(search),
        "nothing_new": search.refusals,
        "coverage": archive.coverage,
        "qd_score": archive.qd_score,
        "elites": [entry(e) for e in archive.ranked()],
        "pareto_front": [entry(archive[i]) for i in archive.front.members],
        "hall_of_fame": [_step(e) for e in archive.top(HALL)],
        "lineage": [] if best is None else [_step(e) for e in archive.lineage(best.candidate.id)],
        "measurements": [{"id": i, "failure": failure(e), **verdict(e)} for i, e in archive.measured.items()],
    }


def _fates(search: Search) -> dict[str, Any]:
    """Return what became of the programs that count as evaluations, and apart from them of the seeds and imports."""
    archive, given = search.archive, search.given
    seeds = sum(seed in archive.history for seed in search.seeds)  # one that fails when measured has passed no more
    failed = Counter({stage: count for stage, count in given.items() if stage not in (PASSED, SAME_CODE)})
    return {
        "passed": len(archive) - seeds,
        "same_code": archive.twins - given[SAME_CODE],
        "failures": dict(sorted((archive.failures - failed).items())),
        "seeds": {
            "given": len(search.seeds),
            "passed": seeds,
            "same_code": given[SAME_CODE],
            "failures": dict(sorted(failed.items())),
        },
    }


def _arm(arm: Arm) -> dict[str, float]:
    """Return what the bandit remembers of an operator, weighted by age."""
    return {"gains": arm.gains, "misses": arm.misses, "cost": arm.cost}


def _gain(best: Entry, seed: Entry) -> float | None:
    """Return the seed's time over the best's; a measured one comes from timing them side by side."""
    if best.evaluation.basis is Basis.PREDICTED or best is seed:
        return seed.score_us / best.score_us
    beside = best.evaluation.ratio_to("baseline")
    return None if beside is None else 1 / beside.ratio


def entry(one: Entry) -> dict[str, Any]:
    """Return one program with its verdict as plain data."""
    return {
        "id": one.candidate.id,
        "operator": one.candidate.operator,
        "intent": one.candidate.intent,
        "cell": list(one.cell),
        **verdict(one.evaluation),
    }


def verdict(e: Evaluation) -> dict[str, Any]:
    """Return what was judged, on what, and under which conditions."""
    return {
        "basis": e.basis.value,
        f"{e.basis}_us": e.score_us if e.passed else None,
        "interval_us": e.interval_us,
        "confirmed": e.confirmed,
        "cases": [
            {
                "case": c.case,
                f"{e.basis}_us": c.time_us,
                "interval_us": None if c.low_us is None else [c.low_us, c.high_us],
                "samples": c.samples,
                "roofline_us": c.floor_us,
                "bound": c.bound,
                "error": c.error,
                "host_us": c.host_us,
            }
            for c in e.cases
        ],
        "against": [{n: getattr(a, n) for n in a.__slots__} for a in e.against],
        "isolation": e.isolation,
        "mode": e.mode.value,
        "device": e.device,
        "target": e.target,
        "elsewhere": [{"target": name, "predicted_us": time_us} for name, time_us in e.elsewhere],
    }


def failure(e: Evaluation) -> dict[str, str] | None:
    """Return why a program failed as plain data."""
    f = e.failure
    return None if f is None else {"stage": f.stage.value, "kind": f.kind, "message": f.message}


def _step(one: Entry) -> dict[str, Any]:
    return {
        "id": one.candidate.id, "operator": one.candidate.operator, "intent": one.candidate.intent,
        f"{one.evaluation.basis}_us": one.score_us,
    }  # fmt: skip


def text(state: State) -> str:
    """Return `show` for a person."""
    s = summary(state)
    sealed = s["mode"] == Mode.SEALED
    lines = [] if sealed else [f"{s['mode']}: judged in open mode; times are claims of each program's own process"]
    if no_task := by_theirs.why(state.task):
        lines.append(f"judged by its suite's own test and times alone: it is no task of ours, because {no_task}")
    lines += [
        f"{s['task']} on {s['target']}: {s['evaluations']} of {s['budget']} evaluations, {s['passed']} passed, "
        f"{s['same_code']} compiled to known code, {s['nothing_new']} proposals had nothing new"
        + f"; seeds apart: {s['seeds']['passed']} of {s['seeds']['given']} passed"
        + (f"; ended: {stopping.WORDS[s['stop']]}" if s["stop"] else ""),
        f"policy {s['policy']}; {_used(state)}",
    ]
    lines += model_report.lines(s["models"])
    failures = ", ".join(f"{n} at {stage}" for stage, n in s["failures"].items()) or "none"
    lines.append(f"failures by stage: {failures}")
    archive = state.search.archive
    if archive.best is None:
        return "\n".join([*lines, "no program has passed yet"])
    lines += _best(s, archive[archive.best])
    lines.append(
        f"elites, one per cell ({s['coverage']:.1%} of the cells, QD score {s['qd_score']:.2f}; "
        f"{len(archive.front)} on the Pareto front of the cases):"
    )
    lines += [f"  {e.candidate.id[:8]}  {_time(e)}  {', '.join(e.cell)}" for e in archive.ranked()]
    lines.append("hall of fame, whatever their cells:")
    lines += [f"  {e.candidate.id[:8]}  {_time(e)}  {e.candidate.operator}" for e in archive.top(SHOWN)]
    lines.append("lineage of the best, newest first:")
    lines += [
        f"  {e.candidate.id[:8]}  {_time(e)}  {e.candidate.operator}: {e.candidate.intent}"
        for e in archive.lineage(archive.best)
    ]
    return "\n".join([*lines, *_measurements(archive)])


def _used(state: State) -> str:
    """Say which budgets beside the evaluations were used, and how far."""
    search, minutes = state.search, state.wall_seconds / 60
    limits = search.limits
    within = "" if limits.max_minutes is None else f" of {limits.max_minutes:g}"
    parts = [f"{minutes:.1f}{within} minutes"]
    if search.gpu_seconds or limits.max_gpu_seconds is not None:
        within = "" if limits.max_gpu_seconds is None else f" of {limits.max_gpu_seconds:g}"
        parts.append(f"{search.gpu_seconds:.1f}{within} GPU seconds")
    if limits.stop_at_roofline is not None:
        parts.append(f"ends at {limits.stop_at_roofline:.0%} of the roofline")
    if limits.stop_after_stagnation is not None:
        parts.append(f"ends after {limits.stop_after_stagnation} evaluations without gain")
    return ", ".join(parts)


def _best(s: dict[str, Any], best: Entry) -> list[str]:
    """Describe the best program, case by case."""
    e = best.evaluation
    us = s[f"seed_{e.basis}_us"]
    gain = f", {s['gain_over_seed']:.2f}x the seed's {us:.2f}" if s["gain_over_seed"] else ""
    where = f", confirmed on {e.device}" if e.confirmed else label(e)
    lines = [
        f"best so far: {best.candidate.id}, {e.basis} {best.score_us:.2f} us{_within(e.interval_us)}{where} "
        f"(geometric mean{gain})"
    ]
    lines += [f"  {said}" for said in s["not_run"]]
    lines += [f"  on {name:<25} predicted {time_us:>10.2f} us (geometric mean)" for name, time_us in e.elsewhere]
    for c in e.cases:
        interval = None if c.low_us is None or c.high_us is None else (c.low_us, c.high_us)
        floor = "" if c.floor_us is None else f"  roofline {c.floor_us:>9.2f} us  {c.bound} bound"
        lines.append(
            f"  {c.case:<28} {e.basis} {c.time_us:>10.2f} us{_within(interval)}{floor}"
            + ("" if c.host_us is None else f"  host {c.host_us:.1f} us{label(e)}")
        )
    return lines


def _measurements(archive: Archive) -> list[str]:
    """Show what `evo-kernel measure` found, apart from what a search predicted."""
    if not archive.measured:
        return []
    return ["measured afterwards:", *(f"  {x}" for x in measurement.table(list(archive.measured.items())).splitlines())]


def _time(one: Entry) -> str:
    e = one.evaluation
    screened = " (screened)" if e.basis is Basis.MEASURED and not e.confirmed else ""
    screened = f" ({e.mode})" if e.mode is Mode.OPEN else screened
    return f"{e.basis} {one.score_us:>9.2f} us{screened}"


def _within(interval: tuple[float, float] | None) -> str:
    return "" if interval is None else f" [{interval[0]:.2f}, {interval[1]:.2f}]"
