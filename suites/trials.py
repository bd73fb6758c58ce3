"""What one case is checked with: its own values, every other distribution, special values, one element made large."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from suites.task import FLOATING, NAMED, WHOLE, Argument, Case, Input, Scalar, Task

if TYPE_CHECKING:
    import torch

BASE, INFLUENCE = "base", "influence"
INTERPRETER_ELEMENTS = 1 << 16  # an edge with more in all its inputs is for a GPU
# The large element: far above what the six distributions give by chance, and the product of two stays in the range.
AMPLITUDE = {
    "float16": 192.0, "bfloat16": 4096.0, "float32": 4096.0, "float64": 4096.0,
    "float8_e4m3fn": 192.0, "float8_e5m2": 192.0,
}  # fmt: skip
LAST_TILE = 8  # the large element lies in the last eighth of its input


@dataclass(frozen=True, slots=True)
class Trial:
    """One set of values for one case. `exact`: the result must be right bit for bit.

    `misrounded`: the share of elements that may be other than the truth rounded once; None: any.
    """

    name: str  # base, a distribution, or influence
    case: str
    arguments: Mapping[str, Argument]
    exact: bool = False
    misrounded: float | None = None

    @property
    def said(self) -> str:
        """Its distribution in words, for messages."""
        if self.name not in (BASE, INFLUENCE):
            return f"{self.name} inputs"
        kinds = dict.fromkeys(a.distribution for a in self.arguments.values() if isinstance(a, Input))
        large = ", one element of each made large" if self.name == INFLUENCE else ""
        return f"{' and '.join(kinds)} inputs{large}"


def trials(task: Task, case: Case, small: bool) -> tuple[Trial, ...]:
    """Return every trial of a case, the base distribution first."""
    base = case.arguments(small)
    found = {BASE: base}
    for distribution in (*FLOATING, *NAMED):
        changed = {name: _taking(a, distribution) for name, a in base.items()}
        if changed not in found.values():
            found[distribution] = changed
    if any(isinstance(a, Input) and a.floating and a.elements for a in base.values()):
        found[INFLUENCE] = base
    return tuple(_trial(task, case.name, name, a) for name, a in found.items())


def few(task: Task, cases: tuple[Case, ...]) -> dict[str, tuple[Trial, ...]]:
    """Choose trials for the slow interpreter: each case's own values, and over all cases every trial there is once.

    What the base values of no case show is given to the smallest cases that can show it, one to each in turn. A share
    of the elements is counted in every case: what is rounded between the parts of a sum shows in long sums alone.
    """
    every = {c.name: trials(task, c, small=True) for c in cases}
    chosen = {name: [group[0], *(t for t in group[1:] if t.misrounded is not None)] for name, group in every.items()}
    seen = {kind for group in chosen.values() for trial in group for kind in _kinds(trial)}
    wanted = [kind for kind in (*FLOATING, *NAMED, INFLUENCE) if kind not in seen]
    for kind in wanted:
        able = [(len(chosen[name]), _cost(t), name, t) for name, g in every.items() for t in g if t.name == kind]
        if able:
            *_, name, trial = min(able, key=lambda a: a[:3])
            chosen[name].append(trial)
    return {name: tuple(group) for name, group in chosen.items()}


def interpretable(case: Case) -> bool:
    """Tell whether an edge is small enough for the interpreter."""
    arguments = case.arguments(small=True).values()
    return sum(a.elements for a in arguments if isinstance(a, Input)) <= INTERPRETER_ELEMENTS


def draw(trial: Trial, seed: int, device: str = "cpu") -> "dict[str, torch.Tensor | Scalar]":
    """Draw a trial's values from the seed and the names of case, trial and input.

    The influence trial has the base values with one element of each floating input made large, so that a result
    kept from the base values, or computed from a sample of them, is seen.
    """
    from suites import inputs  # it imports torch, and those who only choose trials need none

    name = BASE if trial.name == INFLUENCE else trial.name
    values = inputs.draw(trial.arguments, seed, trial.case, name, device)
    if trial.name == INFLUENCE:
        for argument, spec in trial.arguments.items():
            value = values[argument]
            if isinstance(spec, Input) and spec.floating and spec.elements and not isinstance(value, Scalar):
                rng = inputs.generator(seed, trial.case, trial.name, argument)
                first = value.numel() - max(1, value.numel() // LAST_TILE)
                _set(value, int(rng.integers(first, value.numel())), AMPLITUDE[spec.dtype])
    return values


def _trial(task: Task, case: str, name: str, arguments: Mapping[str, Argument]) -> Trial:
    """Say what the results of one set of values must be."""
    if name == INFLUENCE:  # one element is large, so sums are not exact
        return Trial(name, case, arguments)
    whole = any(isinstance(a, Input) and a.distribution == WHOLE for a in arguments.values())
    return Trial(name, case, arguments, task.exact and _representable(arguments), task.misrounded if whole else None)


def _set(tensor: "torch.Tensor", place: int, number: float) -> None:
    """Write one element by its place in row-major order, whatever the memory order."""
    index = []
    for size in reversed(tensor.shape):
        place, rest = divmod(place, size)
        index.append(rest)
    tensor[tuple(reversed(index))] = number


def _taking(argument: Argument, distribution: str) -> Argument:
    """Return an argument drawn otherwise, if it may be."""
    if not isinstance(argument, Input) or not argument.floating:
        return argument
    allowed = FLOATING if argument.trials is None else argument.trials
    return replace(argument, distribution=distribution) if distribution in allowed else argument


def _representable(arguments: Mapping[str, Argument]) -> bool:
    floating = [a for a in arguments.values() if isinstance(a, Input) and a.floating]
    return bool(floating) and all((a.distribution, a.scale, a.shift) == ("signs", 1.0, 0.0) for a in floating)


def _kinds(trial: Trial) -> set[str]:
    """Return the distributions a trial shows."""
    if trial.name != BASE:
        return {trial.name}
    return {a.distribution for a in trial.arguments.values() if isinstance(a, Input)}


def _cost(trial: Trial) -> int:
    """Return the number of elements; what shows little goes last: below 64 any result may be right by chance."""
    sizes = [a.elements for a in trial.arguments.values() if isinstance(a, Input)]
    return sum(sizes) if sum(sizes) >= 64 and all(sizes) else 1 << 40
