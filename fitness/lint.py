"""Finds tasks that a wrong kernel would pass: makes wrong programs of the task's own reference and judges them.

Each wrong program must be refused by at least one of the trials that a candidate goes through, and every honest
implementation must be accepted by limits made from the others. A wrong program that turns out to be right, because
in float64 it gives the truth of every trial, is no evidence against a task and is called not applicable; only zeros
and a constant never are, for results that do not depend on the inputs are worth no kernel.

What may be meant is no fault and is said as a doubt: an argument that changes nothing, and cases of one tile.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

from fitness import yardstick
from fitness.mutants import CONSTANT, ZEROS, Ground, mutants
from fitness.tolerance import Yardstick
from suites import Task
from suites.loading import Functions, functions
from suites.trials import Trial, draw, few, interpretable

REFUSED, ACCEPTED, NOT_APPLICABLE, DOUBTFUL = "refused", "accepted", "not applicable", "doubtful"
MEMBERS = 3  # honest implementations, at least, of what gives floating-point results: the reference is one
COUNTED = 64  # elements of which chance cannot take all that are rounded twice
ONE_TILE = 1024  # elements: what one program of a plain kernel may do
SAME = 1e-11  # of the largest number: two float64 results that differ by less are the same but for their roundings


@dataclass(frozen=True, slots=True)
class Finding:
    """What became of one wrong program, or of one honest one. `fault` says what to change; None if all is well."""

    name: str
    state: str
    detail: str
    fault: str | None = None


def lint(task: Task, seed: int = 0) -> tuple[Finding, ...]:
    """Judge every wrong and every honest program on the trials of the public cases and edges, at the small size."""
    own = functions(task)
    cases = (*task.cases, *(e for e in task.edges if interpretable(e)))
    trials = [t for group in few(task, cases).values() for t in group]
    grounds = [ground(own, trial, seed) for trial in trials]
    judged = (*_wrong(own, grounds), *_honest(own, grounds, seed), *_counted(task, grounds), *_empty(task, grounds))
    return (*judged, *_unread(task, own, grounds, seed), *_small(grounds))


def doubts(findings: tuple[Finding, ...]) -> list[str]:
    """Return what may be meant, and lets programs pass that do less than they should where it is not."""
    return [f.detail for f in findings if f.state == DOUBTFUL]


def faults(findings: tuple[Finding, ...]) -> list[str]:
    """Return what has to change before the task can be used."""
    return [f.fault for f in findings if f.fault is not None]


def ground(own: Functions, trial: Trial, seed: int) -> Ground:
    """Draw one trial and compute what programs of it are held against."""
    values = draw(trial, seed)
    yardsticks = yardstick.compute(own, values, trial, seed=seed)
    eager = yardstick.outputs(own.reference(*[yardstick.copied(v) for v in values.values()]))
    truths = yardstick.wide(own.reference(*yardstick.lifted(values).values()))
    return Ground(trial, values, eager, truths, yardsticks)


def _wrong(own: Functions, grounds: list[Ground]) -> Iterator[Finding]:
    """Judge every wrong program, each output on its own."""
    outputs = len(grounds[0].eager)
    for name, mutant, advice in mutants(own, grounds):
        made = [(mutant(own, g, False), mutant(own, g, True)) for g in grounds]
        for number in range(outputs):
            said = f"{name}, output {number}" if outputs > 1 else name
            kept = [
                (g, low[number], high[number])
                for g, (low, high) in zip(grounds, made, strict=True)
                if g.eager[number].numel() and low[number] is not None
            ]
            yield _finding(said, kept, number, advice, always=name in (ZEROS, CONSTANT))


def _finding(name: str, made: list[tuple[Ground, Any, Any]], number: int, advice: str, always: bool) -> Finding:
    """Say what one wrong program comes to."""
    if not made:
        return Finding(name, NOT_APPLICABLE, "no output has a shape and dtype for it")
    if not always and all(_equal(high, g.truths[number]) for g, _, high in made):
        return Finding(
            name, NOT_APPLICABLE, "in float64 it gives the truth of every trial: it is no wrong program here"
        )
    refusing = [g.trial for g, low, _ in made if yardstick.ratio(g.yardsticks[number], low)[0] > 1.0]
    if refusing:
        return Finding(name, REFUSED, f"by {len(refusing)} of {len(made)} trials")
    return Finding(name, ACCEPTED, f"by all {len(made)} trials", f"{name} would pass every case: {advice}")


def _honest(own: Functions, grounds: list[Ground], seed: int) -> Iterator[Finding]:
    """Judge every honest implementation by limits made from the others."""
    members = 1 + len(own.honest)
    if members < MEMBERS and any(o.is_floating_point() for o in grounds[0].eager):
        yield Finding(
            "honest bank", REFUSED, f"{members} of {MEMBERS} implementations, the reference counted",
            f"the limits on errors rest on {members} honest implementation(s), the reference counted; {MEMBERS} "
            "are needed, for one may be lucky. Write `honest = [f, g]`, other ways to compute it in PyTorch: in "
            "float32, in blocks, by another formula",
        )  # fmt: skip
    if not own.honest:
        return
    for name, function in (("reference", own.reference), *own.honest):
        worst, where, told = 0.0, grounds[0].trial, ""
        for ground in grounds:
            limits = yardstick.compute(own, ground.values, ground.trial, seed=seed, without=name)
            made = yardstick.outputs(function(*[yardstick.copied(v) for v in ground.values.values()]))
            ratio = _worst(limits, made)
            if ratio > worst:
                worst, where, told = ratio, ground.trial, _why(ratio, limits, made)
        place = f"case {where.case}, {where.said}"
        if worst > 1.0:
            yield Finding(
                f"honest {name}",
                REFUSED,
                f"{worst:.3g} of its limit: {place}",
                f"honest `{name}` is refused in {place}: {told}",
            )
        else:
            yield Finding(f"honest {name}", ACCEPTED, f"at most {worst:.2f} of its limit")


def _worst(limits: Sequence[Yardstick], made: Sequence[torch.Tensor]) -> float:
    return max(yardstick.ratio(y, m)[0] for y, m in zip(limits, made, strict=True))


def _why(worst: float, limits: Sequence[Yardstick], made: Sequence[torch.Tensor]) -> str:
    """Say what refuses an honest program, and what to do."""
    if _worst([replace(y, misrounded=None) for y in limits], made) <= 1.0:
        return (
            f"{worst:.3g} times as many of its elements as `misrounded` allows are not the truth rounded once; compute "
            "in float32 and round once, or allow more"
        )
    return (
        f"its error is {worst:.3g} times what the other implementations allow; compute in float32 and round once, or "
        "take the distribution out of that input's `trials`"
    )


def _counted(task: Task, grounds: list[Ground]) -> Iterator[Finding]:
    """Say where a task's share of elements would never refuse anything: of few results chance may take all."""
    if task.misrounded is None:
        return
    sizes = [y.truth.numel() for g in grounds for y in g.yardsticks if y.misrounded is not None]
    most = max(sizes, default=0)
    if most < COUNTED:
        yield Finding("rounded twice", ACCEPTED, f"in results of 16 bits with at most {most} elements",
                      "`misrounded` would find nothing: no public case has, at its small size and from `whole` inputs, "
                      f"a result of 16 bits or fewer with {COUNTED} elements")  # fmt: skip


def _empty(task: Task, grounds: list[Ground]) -> Iterator[Finding]:
    """Say which cases compute nothing: no program of theirs could be wrong, and none could be timed."""
    whole = {g.trial.case for g in grounds if any(o.numel() for o in g.eager)}
    for name in [c.name for c in task.cases if c.name not in whole]:
        told = f"case `{name}` has a result without elements, which nothing can be wrong in: make it an `edge`"
        yield Finding(f"case {name}", ACCEPTED, "whatever a program computes", told)


def _unread(task: Task, own: Functions, grounds: list[Ground], seed: int) -> Iterator[Finding]:
    """Say which arguments change nothing: those for which others give the truth in every trial."""
    for name in [n for n in grounds[0].values if n not in task.in_place]:
        others = [(g, _other(g, name, seed)) for g in grounds]
        asked = [(g, other) for g, other in others if not _same(other, g.values[name])]
        if asked and not any(_changes(own, g, name, other) for g, other in asked):
            told = f"other values of `{name}` change no result: a program that never asks for them would pass"
            yield Finding(f"`{name}` matters", DOUBTFUL, told)


def _other(ground: Ground, name: str, seed: int) -> Any:
    """Return another value for an argument: a tensor as another seed draws it, another number, or the other flag."""
    value = ground.values[name]
    if isinstance(value, torch.Tensor):
        return draw(ground.trial, seed + 1)[name]
    return not value if isinstance(value, bool) else value + 1 if isinstance(value, (int, float)) else value


def _same(one: Any, other: Any) -> bool:
    return torch.equal(one, other) if isinstance(one, torch.Tensor) else bool(one == other)


def _changes(own: Functions, ground: Ground, name: str, other: Any) -> bool:
    try:
        made = own.reference(*yardstick.lifted({**ground.values, name: other}).values())
    except Exception:  # noqa: BLE001  whatever it raises at another number, it read it
        return True
    return not all(map(_equal, yardstick.wide(made), ground.truths))


def _small(grounds: list[Ground]) -> Iterator[Finding]:
    """Say where all that is compared without a GPU fits one program of a plain kernel."""
    tensors = [t for g in grounds for t in (*g.values.values(), *g.truths) if isinstance(t, torch.Tensor)]
    most = max((t.numel() for t in tensors), default=0)
    if most < ONE_TILE:
        told = f"no tensor of a case or edge has more than {most} elements at its small size: "
        told += "a program that does its first tile alone may pass; add a larger one"
        yield Finding("more than one tile", DOUBTFUL, told)


def _equal(one: torch.Tensor | None, truth: torch.Tensor) -> bool:
    """Tell whether two float64 results are the same numbers, but for their roundings."""
    if one is None or one.shape != truth.shape:
        return False
    made, wanted = (torch.nan_to_num(t.double(), 0.5, 2e300, -2e300) for t in (one, truth))
    finite = truth.double()[torch.isfinite(truth.double())]
    largest = float(finite.abs().max()) if finite.numel() else 0.0
    return bool(((made - wanted).abs() <= SAME * largest).all())
