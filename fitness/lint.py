"""Finds tasks that a wrong kernel would pass: makes wrong programs of the task's own reference and judges them.

Each wrong program must be refused by at least one of the trials that a candidate goes through, and every honest
implementation must be accepted by limits made from the others. A wrong program that turns out to be right, because
in float64 it gives the truth of every trial, is no evidence against a task and is called not applicable; only zeros
and a constant never are, for results that do not depend on the inputs are worth no kernel.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch

from fitness import yardstick
from fitness.tolerance import EPSILON, Yardstick
from suites import Task
from suites.loading import Functions, functions
from suites.trials import Trial, draw, few, interpretable

REFUSED, ACCEPTED, NOT_APPLICABLE = "refused", "accepted", "not applicable"
TILE = 16  # the last tile is one of so many
STEP = 32  # a skipped reduction sees one element of so many

Values = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Finding:
    """What became of one wrong program, or of one honest one. `fault` says what to change; None if all is well."""

    name: str
    state: str
    detail: str
    fault: str | None = None


@dataclass(frozen=True, slots=True)
class _Ground:
    """One trial with all that mutants of it are made from."""

    trial: Trial
    values: Values
    eager: list[torch.Tensor]
    truths: list[torch.Tensor]
    yardsticks: tuple[Yardstick, ...]


Mutant = Callable[[Functions, _Ground, bool], list[torch.Tensor | None]]


def lint(task: Task, seed: int = 0) -> tuple[Finding, ...]:
    """Judge every wrong and every honest program on the trials of the public cases and edges, at the small size."""
    own = functions(task)
    cases = (*task.cases, *(e for e in task.edges if interpretable(e)))
    trials = [t for group in few(task, cases).values() for t in group]
    grounds = [_ground(own, trial, seed) for trial in trials]
    return (*_wrong(own, grounds), *_honest(own, grounds, seed))


def faults(findings: tuple[Finding, ...]) -> list[str]:
    """Return what has to change before the task can be used."""
    return [f.fault for f in findings if f.fault is not None]


def _ground(own: Functions, trial: Trial, seed: int) -> _Ground:
    values = draw(trial, seed)
    yardsticks = yardstick.compute(own, values, trial, seed=seed)
    eager = yardstick.outputs(own.reference(*[yardstick.copied(v) for v in values.values()]))
    truths = yardstick.outputs(own.reference(*yardstick.lifted(values).values()))
    return _Ground(trial, values, eager, truths, yardsticks)


def _wrong(own: Functions, grounds: list[_Ground]) -> Iterator[Finding]:
    """Judge every wrong program, each output on its own."""
    outputs = len(grounds[0].eager)
    for name, (mutant, advice) in MUTANTS.items():
        made = [(mutant(own, g, False), mutant(own, g, True)) for g in grounds]
        for number in range(outputs):
            said = f"{name}, output {number}" if outputs > 1 else name
            kept = [
                (g, low[number], high[number])
                for g, (low, high) in zip(grounds, made, strict=True)
                if g.eager[number].numel() and low[number] is not None
            ]
            yield _finding(said, kept, number, advice, always=name in (ZEROS, CONSTANT))


def _finding(name: str, made: list[tuple[_Ground, Any, Any]], number: int, advice: str, always: bool) -> Finding:
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


def _honest(own: Functions, grounds: list[_Ground], seed: int) -> Iterator[Finding]:
    """Judge every honest implementation by limits made from the others."""
    if not own.honest:
        yield Finding(
            "reference", NOT_APPLICABLE, "no other `honest` implementation, so its errors alone set the limits"
        )
        return
    for name, function in (("reference", own.reference), *own.honest):
        worst, where = 0.0, grounds[0].trial
        for ground in grounds:
            limits = yardstick.compute(own, ground.values, ground.trial, seed=seed, without=name)
            made = yardstick.outputs(function(*[yardstick.copied(v) for v in ground.values.values()]))
            ratio = max(yardstick.ratio(y, m)[0] for y, m in zip(limits, made, strict=True))
            if ratio > worst:
                worst, where = ratio, ground.trial
        place = f"case {where.case}, {where.said}"
        if worst > 1.0:
            yield Finding(f"honest {name}", REFUSED, f"{worst:.3g} of its limit: {place}",
                          f"honest `{name}` is refused in {place}: its error is {worst:.3g} times what the other "
                          "implementations allow; compute in float32 and round once, or take the distribution out of "
                          "that input's `trials`")  # fmt: skip
        else:
            yield Finding(f"honest {name}", ACCEPTED, f"at most {worst:.2f} of its limit")


def _equal(one: torch.Tensor | None, truth: torch.Tensor) -> bool:
    """Tell whether two float64 results are the same numbers."""
    return one is not None and one.shape == truth.shape and bool(torch.equal(
        torch.nan_to_num(one.double(), 0.5, 2e300, -2e300), torch.nan_to_num(truth.double(), 0.5, 2e300, -2e300)
    ))  # fmt: skip


def _made(ground: _Ground, exact: bool) -> list[torch.Tensor]:
    return ground.truths if exact else ground.eager


def _zeros(own: Functions, ground: _Ground, exact: bool) -> list[torch.Tensor | None]:
    return [torch.zeros_like(o) for o in _made(ground, exact)]


def _constant(own: Functions, ground: _Ground, exact: bool) -> list[torch.Tensor | None]:
    """Fill every output with the mean of its truth."""
    found: list[torch.Tensor | None] = []
    for output, truth in zip(_made(ground, exact), ground.truths, strict=True):
        finite = truth.double()[torch.isfinite(truth.double())]
        mean = float(finite.mean()) if finite.numel() else 0.0
        found.append(torch.full(output.shape, mean, dtype=torch.float64).to(output.dtype))
    return found


def _identity(own: Functions, ground: _Ground, exact: bool) -> list[torch.Tensor | None]:
    """Return the first input of an output's shape and dtype, if there is one."""
    values = list(ground.values.values())
    found: list[torch.Tensor | None] = []
    for output in ground.eager:
        same = [v for v in values if isinstance(v, torch.Tensor) and (v.shape, v.dtype) == (output.shape, output.dtype)]
        found.append((same[0].double() if exact else same[0]) if same else None)
    return found


def _changed(change: Callable[[torch.Tensor], torch.Tensor]) -> Mutant:
    """Make a mutant that computes the reference on changed inputs: the floating ones, or all if none is."""

    def mutant(own: Functions, ground: _Ground, exact: bool) -> list[torch.Tensor | None]:
        values = yardstick.lifted(ground.values) if exact else dict(ground.values)
        tensors = {k: v for k, v in values.items() if isinstance(v, torch.Tensor) and v.dim()}
        floating = {k: v for k, v in tensors.items() if v.is_floating_point()}
        moved = {k: change(v.clone()) for k, v in (floating or tensors).items()}
        return [*yardstick.outputs(own.reference(*{**values, **moved}.values()))]

    return mutant


def _half(tensor: torch.Tensor) -> torch.Tensor:
    """Zero the second half of every row."""
    tensor[..., (tensor.shape[-1] + 1) // 2 :] = 0
    return tensor


def _sampled(tensor: torch.Tensor) -> torch.Tensor:
    """Put every STEP-th element of a row in the place of those after it."""
    return tensor[..., torch.arange(tensor.shape[-1]) // STEP * STEP]


def _tail(fill: float) -> Mutant:
    """Make a mutant that never writes the last tile of each output."""

    def mutant(own: Functions, ground: _Ground, exact: bool) -> list[torch.Tensor | None]:
        found: list[torch.Tensor | None] = []
        for output in _made(ground, exact):
            cut = output.contiguous().clone()
            tile = max(1, cut.numel() // TILE)
            unwritten = fill if cut.is_floating_point() or fill == 0 else 0x5B
            cut.reshape(-1)[cut.numel() - tile :] = unwritten
            found.append(cut)
        return found

    return mutant


def _bfloat16(own: Functions, ground: _Ground, exact: bool) -> list[torch.Tensor | None]:
    """Compute from inputs rounded to bfloat16 and round the result so, for outputs of more precision."""

    def rounded(tensor: Any) -> Any:
        plain = isinstance(tensor, torch.Tensor) and tensor.is_floating_point()
        return tensor.bfloat16().to(tensor.dtype) if plain else tensor

    values = yardstick.lifted(ground.values) if exact else ground.values
    made = yardstick.outputs(own.reference(*[yardstick.copied(rounded(v)) for v in values.values()]))
    fine = [EPSILON.get(y.dtype, 1.0) < EPSILON["bfloat16"] for y in ground.yardsticks]
    return [rounded(m) if f else None for m, f in zip(made, fine, strict=True)]


ZEROS, CONSTANT = "zeros", "a constant"
_VARIED = "let the results depend on the inputs: other shapes, or distributions with larger and more varied values"
_MORE = "add a case, an edge or a distribution in which what is left out matters"
MUTANTS: dict[str, tuple[Mutant, str]] = {
    ZEROS: (_zeros, _VARIED),
    CONSTANT: (_constant, _VARIED),
    "the identity": (_identity, "let the results differ from that input: other shapes or distributions"),
    "half the data": (_changed(_half), _MORE),
    "a skipped reduction": (_changed(_sampled), _MORE),
    "the last tile never written": (_tail(float("nan")), _MORE),
    "the last tile zero": (_tail(0.0), _MORE),
    "bfloat16 inside": (_bfloat16, "add a case in which the operation's dtype and bfloat16 round differently: fewer "
                                   "`honest` implementations of low precision, or values that bfloat16 does not have"),
}  # fmt: skip
