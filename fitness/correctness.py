"""What a task's candidates are checked with under the interpreter, and what their outputs are worth."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fitness import child, discrepancy, tolerance, words
from fitness import plan as plans
from fitness.evaluation import Failure, Stage
from fitness.jail import Jail
from fitness.plan import LaunchPlan
from fitness.poison import POISONS
from fitness.tolerance import Yardstick
from suites import Case, Task, TaskError
from suites.task import Input, pack, pack_arguments
from suites.trials import BASE, Trial, few, interpretable

TRUTH_SECONDS = 300.0  # for all trials of a task together
UNWRITTEN = "depends on what memory held before the launch, so something is read that was never written"
SLACK = 0.01  # by how much a limit may differ between machines
FULL = "full size "  # before the names of limits of a GPU's judge, which draws other inputs

Limits = dict[str, tuple[float, ...]]  # the figures of each yardstick, by case/trial/output


@dataclass(frozen=True, slots=True)
class Replay:
    """One trial, run on memory that held one of the POISONS."""

    trial: Trial
    poison: int


@dataclass(frozen=True, slots=True)
class Given:
    """One trial's inputs as bytes and what its outputs must be."""

    inputs: tuple[tuple[str, bytes], ...]
    outputs: tuple[Yardstick, ...]


class Correctness:
    """Truth and limits of one task, computed once, outside every candidate's reach."""

    def __init__(self, task: Task, seed: int, jail: Jail) -> None:
        self._task, self._seed, self._jail = task, seed, jail
        self._given: dict[tuple[str, str], Given] = {}
        self._untold: Limits = {}
        self._chosen: dict[tuple[str, ...], tuple[Replay, ...]] = {}

    @property
    def edges(self) -> tuple[Case, ...]:
        """The task's edges that the interpreter can run."""
        return tuple(e for e in self._task.edges if interpretable(e))

    def replays(self, cases: tuple[Case, ...]) -> tuple[Replay, ...]:
        """Choose the trials of cases and edges, on alternating poisons, and one of them on both."""
        names = tuple(c.name for c in cases)
        if names not in self._chosen:
            chosen = few(self._task, (*cases, *self.edges))
            found = [Replay(t, n % 2) for n, t in enumerate(t for group in chosen.values() for t in group)]
            again = min((r for r in found if r.trial.case in names), key=lambda r: _elements(r.trial))
            self._chosen[names] = (*found, Replay(again.trial, 1 - again.poison))
            self._compute([r.trial for r in found])
        return self._chosen[names]

    def repeats(self, cases: tuple[Case, ...]) -> tuple[Replay, ...]:
        """Choose the trials of cases and edges for a program with memory of its own: each case's base trial twice."""
        chosen = few(self._task, (*cases, *self.edges))
        once = [Replay(t, 0) for group in chosen.values() for t in group]
        self._compute([r.trial for r in once])
        return (*once, *(r for r in once if r.trial.name == BASE))

    def given(self, trial: Trial) -> Given:
        """Return the inputs of a trial that was chosen."""
        return self._given[_key(trial)]

    def checks(self, replays: Sequence[Replay], by_case: Mapping[str, LaunchPlan]) -> list[Any]:
        """Return what the interpreter needs to run every replay."""
        packed = {name: plans.pack(plan) for name, plan in by_case.items()}
        return [[r.trial.case, packed[r.trial.case], self._given[_key(r.trial)].inputs, r.poison] for r in replays]

    def judge(self, replays: Sequence[Replay], outputs: Sequence[Any]) -> tuple[dict[str, float], Failure | None]:
        """Return each case's largest ratio of an error to its limit, or the first failure."""
        ratios: dict[str, float] = {}
        means: dict[tuple[str, int], list[tuple[float, Yardstick]]] = {}
        first: dict[tuple[str, str], Any] = {}
        for replay, made in zip(replays, outputs, strict=True):
            trial, key = replay.trial, _key(replay.trial)
            wanted = self._given[key].outputs
            try:
                verdict = tolerance.compare(made, wanted, POISONS[replay.poison].floats)
            except (ValueError, TypeError, KeyError) as error:
                return ratios, _failure(trial, "schema", f"unreadable outputs: {error}")
            if verdict.complaint:
                return ratios, _failure(trial, verdict.kind, verdict.complaint)
            if key in first:
                if not self._task.atomics and (difference := _difference(first[key], made)):
                    return ratios, _failure(trial, "uninitialised", difference)
                continue
            first[key] = made
            ratios[trial.case] = max(ratios.get(trial.case, 0.0), round(verdict.ratio, 6))
            for number, mean in enumerate(verdict.means):
                means.setdefault((trial.case, number), []).append((mean, wanted[number]))
        for (case, number), found in means.items():
            bias = tolerance.pooled(found)
            if bias.complaint:
                return ratios, Failure(
                    Stage.CORRECTNESS, bias.kind, f"case {case}, output {number}: {bias.complaint}", case=case
                )
        return ratios, None

    def news(self) -> Limits:
        """Return the limits that were computed since this was last asked, to be kept with a run."""
        told, self._untold = self._untold, {}
        return told

    def _compute(self, trials: Sequence[Trial]) -> None:
        """Compute inputs and truth in a child that runs the task's own code alone."""
        missing = {_key(t): t for t in trials if _key(t) not in self._given}
        payload = {
            "task": pack(self._task),
            "trials": [[t.name, t.case, pack_arguments(t.arguments), t.exact, t.misrounded] for t in missing.values()],
            "seed": self._seed,
        }
        outcome = self._jail.run("truth", payload, child.Limits(seconds=TRUTH_SECONDS, output=2 << 30))
        if outcome.kind is not None:
            case = (outcome.stage or "").partition(":")[2]
            raise TaskError(
                f"task {self._task.name}, case {case}: the reference failed: {outcome.message}\n{outcome.trace}"
            )
        for key, (inputs, outputs) in zip(missing, outcome.value, strict=True):
            given = Given(tuple(inputs), tuple(tolerance.unpack(o) for o in outputs))
            self._given[key] = given
            self._untold |= {f"{'/'.join(key)}/{n}": y.figures for n, y in enumerate(given.outputs)}


def moved(frozen: Limits, now: Limits) -> str | None:
    """Say which limit is not the one a run began with, if any; only what both hold is compared."""
    for name in sorted(frozen.keys() & now.keys()):
        if len(frozen[name]) != len(now[name]):
            return f"the limits of {name} are {len(frozen[name])} numbers where this version makes {len(now[name])}"
        for old, new in zip(frozen[name], now[name], strict=True):
            if not math.isclose(old, new, rel_tol=SLACK, abs_tol=0.0):
                return (
                    f"the limits of {name} moved from {old:.6g} to {new:.6g}: this machine's PyTorch computes the "
                    "references differently from the one the run began with, so verdicts would not be comparable"
                )
    return None


def _key(trial: Trial) -> tuple[str, str]:
    return trial.case, trial.name


def _elements(trial: Trial) -> int:
    return sum(a.elements for a in trial.arguments.values() if isinstance(a, Input))


def _failure(trial: Trial, kind: str, what: str) -> Failure:
    told = words.message(f"case {trial.case}, {trial.said}: {what}")  # it may quote the outputs' schema
    return Failure(Stage.CORRECTNESS, kind, told, case=trial.case)


def _difference(first: Any, again: Any) -> str:
    """Say how two runs that began on different memory differ."""
    for number, ((dtype, shape, one), (_, _, other)) in enumerate(zip(first, again, strict=True)):
        if one != other:
            values, others = (tolerance.decode(d, dtype).reshape(tuple(shape)) for d in (one, other))
            wrong = values.view(np.uint8).reshape(*values.shape, -1) != others.view(np.uint8).reshape(*values.shape, -1)
            return f"output {number} {UNWRITTEN}: {discrepancy.describe(wrong.any(axis=-1), others, values)}"
    return ""
