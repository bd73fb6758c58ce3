"""Prints one program's verdict gate by gate: what each found, how long it took, and what to do about a refusal."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from evo_kernel import report
from fitness import feedback
from fitness.evaluation import Basis, Evaluation, Mode, Stage
from fitness.measure import CONFIRMATION
from suites import Case, Task, trials

OK, FAILED, SKIPPED = "ok", "FAILED", "-"
_SEALED = (Stage.RECORD, Stage.COMPILE, CONFIRMATION)


@dataclass(frozen=True, slots=True)
class Gate:
    """One gate: whether it was passed, seconds where they are known, and what it found."""

    name: str
    state: str
    seconds: float | None
    found: str


def gates(task: Task, cases: tuple[Case, ...], e: Evaluation, seconds: Mapping[str, float]) -> list[Gate]:
    """List the gates in order; those behind a failure were not reached."""
    measured = e.basis is Basis.MEASURED
    names = [Stage.STATIC, Stage.IMPORT, Stage.RECORD, Stage.COMPILE, Stage.CORRECTNESS]
    order = [*(str(n) for n in names), str(Stage.TIMING if measured else Stage.PREDICT), CONFIRMATION]
    failed = None if e.failure is None else str(e.failure.stage)
    reached = len(order) if failed is None else order.index(failed) if failed in order else 0
    found = []
    for number, name in enumerate(order):
        state = OK if number < reached else FAILED if name == failed else SKIPPED
        if e.mode is Mode.OPEN and name in _SEALED and state != FAILED:
            found.append(Gate(name, SKIPPED, None, "no gate of open mode"))
            continue
        spent = seconds.get(name) if state != SKIPPED else None
        if name == Stage.TIMING and spent is not None:
            spent -= seconds.get(CONFIRMATION, 0.0)
        words = _found(name, task, cases, e) if state == OK else _refusal(e) if state == FAILED else "not reached"
        if name == CONFIRMATION and state == OK and not e.confirmed:
            state = SKIPPED
        found.append(Gate(name, state, spent, words))
    return found


def text(title: str, task: Task, cases: tuple[Case, ...], e: Evaluation, seconds: Mapping[str, float]) -> str:
    """Format a verdict for a person."""
    own, held_out = _parted(task, e)
    said = feedback.feedback(e) if e.failure is not None else f"passed; {_score(own)}"
    lines = [f"{title}: {said}", f"  {_under(e)}"]
    for gate in gates(task, cases, e, seconds):
        took = "" if gate.seconds is None else f"{gate.seconds:.2f} s"
        lines.append(f"  {gate.name:<13}{gate.state:<8}{took:>8}  {gate.found}".rstrip())
    if e.failure is not None:
        return "\n".join(lines)
    over = "" if held_out is None else ", held-out cases too"
    lines += [f"  {feedback.against(c)}{over}" for c in e.against]
    width = max(len(c.case) for c in e.cases)
    rows = {c.case: f"  {c.case:<{width}}  {feedback.case(e, c, task.case(c.case).bytes)}" for c in e.cases}
    lines += [rows[c.case] for c in own.cases]
    if held_out is not None:
        lines.append(f"  held out: {_score(held_out)}")
        lines += [rows[c.case] for c in held_out.cases]
    lines += [f"  {feedback.kernel(k)}" for k in e.kernels]
    lines += [f"  note: {note}" for note in e.notes]
    return "\n".join(lines)


def plain(task: Task, cases: tuple[Case, ...], e: Evaluation, seconds: Mapping[str, float]) -> dict[str, Any]:
    """Return a verdict as plain data for `--json`: `cases` are all, the score is of those that are not held out."""
    f = e.failure
    own, held_out = _parted(task, e)
    return {
        "passed": e.passed,
        **report.verdict(own),
        "cases": report.verdict(e)["cases"],
        "held_out": None if held_out is None else _held_out(held_out),
        "gates": [
            {"gate": g.name, "state": g.state, "seconds": g.seconds, "found": g.found}
            for g in gates(task, cases, e, seconds)
        ],
        "failure": None
        if f is None
        else {
            "stage": f.stage.value, "kind": f.kind, "message": f.message, "case": f.case, "trace": f.trace,
            "advice": feedback.advice(f),
        },
        "kernels": [{n: getattr(k, n) for n in k.__slots__} for k in e.kernels],
        "notes": list(e.notes),
    }  # fmt: skip


def _parted(task: Task, e: Evaluation) -> tuple[Evaluation, Evaluation | None]:
    """Part the verdict on a task's own cases, whose mean is the score of a search, from that on its held-out ones."""
    apart = {c.name for c in task.held_out}
    held_out = tuple(c for c in e.cases if c.case in apart)
    if e.failure is not None or not held_out:
        return e, None
    return replace(e, cases=tuple(c for c in e.cases if c.case not in apart)), replace(e, cases=held_out)


def _score(e: Evaluation) -> str:
    many = "s" if len(e.cases) > 1 else ""
    return f"{feedback.score(e)} (geometric mean of {len(e.cases)} case{many})"


def _held_out(e: Evaluation) -> dict[str, Any]:
    """Return what was found on held-out cases; a rival is timed on these and the others together."""
    return {
        "cases": [c.case for c in e.cases],
        f"{e.basis}_us": e.score_us,
        "interval_us": e.interval_us,
        "in_against": bool(e.against),
    }


def _under(e: Evaluation) -> str:
    """Say under which conditions the verdict was reached."""
    place = f"device {e.device}" if e.device else "no device: times are predicted"
    return f"{e.mode}, isolation {e.isolation}, target {e.target}, {place}"


def _refusal(e: Evaluation) -> str:
    return "" if e.failure is None else e.failure.kind


def _found(name: str, task: Task, cases: tuple[Case, ...], e: Evaluation) -> str:
    """Say what a gate that was passed has found."""
    if name == Stage.RECORD:
        return f"a plan for each of {len(cases)} cases (static checks and import included in the time)"
    if name == Stage.COMPILE and e.kernels:
        spills = sum(k.spills for k in e.kernels)
        lowest = min(k.occupancy for k in e.kernels)
        return f"{len(e.kernels)} kernel(s), {spills} spilled, at least {lowest} waves a scheduler"
    if name == Stage.CORRECTNESS and e.cases:
        worst = max(e.cases, key=lambda c: c.error or 0.0)
        return f"{_trials(task, cases, e)}; largest error {worst.error or 0.0:.2f} of the limit, in {worst.case}"
    if name in (Stage.TIMING, Stage.PREDICT):
        return feedback.score(_parted(task, e)[0]) if e.cases else ""
    if name == CONFIRMATION:
        return "timed again in fresh processes on fresh data" if e.confirmed else "none: only measured winners have it"
    return ""


def _trials(task: Task, cases: tuple[Case, ...], e: Evaluation) -> str:
    """Say which trials and edges a program was right on."""
    if e.basis is Basis.MEASURED and e.mode is not Mode.OPEN:
        names = {t.name for c in cases for t in trials.trials(task, c, small=False)}
        edges = len(task.edges)
        which = "every trial" if e.confirmed else "base, influence and a secret choice of the other trials"
        return f"{len(cases)} cases and up to {edges} edges, {which} ({', '.join(sorted(names))})"
    edges = sum(trials.interpretable(edge) for edge in task.edges)
    chosen = trials.few(task, cases)
    names = {t.name for group in chosen.values() for t in group}
    where = "in its own process" if e.mode is Mode.OPEN else "under the interpreter"
    return (
        f"{len(cases)} cases and {edges} edges {where}, {sum(map(len, chosen.values()))} trials "
        f"({', '.join(sorted(names))})"
    )
