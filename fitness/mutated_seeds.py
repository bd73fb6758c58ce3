"""Mutants of a seed: run under the interpreter, beside the seed, on the same trials."""

from collections.abc import Mapping, Sequence
from typing import Any

from fitness import tolerance
from fitness.build import Builder, Purpose, Refusal, value
from fitness.child import Limits
from fitness.correctness import Correctness, Replay
from fitness.evaluation import Stage
from fitness.jail import Jail
from fitness.mutation import ALIKE, AS_RIGHT, BROKEN, EQUAL, FAULTED, KILLED, NO_WORSE, SURVIVED, UNTRIED, Mutant
from fitness.plan import LaunchPlan
from fitness.poison import POISONS
from fitness.targets import find
from suites import Seed, Task, TaskError
from suites.task import Input

SECONDS = 60.0  # for one mutant
FIRST = 3  # trials that are run first: most mutants are killed by them


class Runner:
    """Runs mutants of seeds under the interpreter, on the cheapest trials first.

    Where a kernel is changed, mutants are launched as the original is; where the launcher is, as it says itself.
    """

    def __init__(self, task: Task, target: str, seed: int, jail: Jail, interpreter: Jail,
                 honest: Mapping[tuple[str, str], float]) -> None:  # fmt: skip
        self._task, self._interpreter, self._honest = task, interpreter, honest
        self._limits = Limits(seconds=SECONDS)
        self._builder = Builder(task, find(target), self._limits, Purpose(code=False), jail)
        self._correctness = Correctness(task, seed, jail)
        cases = (*task.cases, *task.held_out)
        self._replays = sorted(self._correctness.replays(cases), key=_elements)
        first = min(cases, key=lambda c: sum(a.elements for a in c.inputs.values() if isinstance(a, Input)))
        # one case is compiled, so that what the compiler refuses is told from what the task refuses
        self._compiled = (first,)
        self._others = (*(c for c in cases if c is not first), *self._correctness.edges)
        self._every = range(len(self._replays))
        self._plans: dict[str, LaunchPlan] = {}
        self._original: list[Any] = []
        self._most: list[float] = []  # what a mutant may err that is as right, trial by trial

    def begin(self, own: Seed) -> None:
        """Run the original, beside which its mutants are held."""
        built = self._builder.build(own.source, self._compiled, self._others)
        self._plans = {r.case.name: r.check for r in (*built.recorded, *built.edges)}
        self._original = self._run(own.source, self._replays, self._plans)
        _, failure = self._correctness.judge(self._replays, self._original)
        if failure is not None:
            raise TaskError(f"task {self._task.name}, seed {own.name}: it fails itself: {failure.message}")
        errors = zip(self._replays, self._ratios(self._replays, self._original), strict=True)
        self._most = [ALIKE * max(e, self._honest.get((r.trial.case, r.trial.name), 0.0)) for r, e in errors]

    def judge(self, mutant: Mutant) -> tuple[str, str]:
        """Say what becomes of a mutant."""
        return self._of_launcher(mutant.source) if mutant.launcher else self._of_kernel(mutant.source)

    def _of_kernel(self, source: str) -> tuple[str, str]:
        """Hold a program with a changed kernel against all trials."""
        try:
            self._builder.build(source, self._compiled, ())
        except Refusal as refused:
            return BROKEN, refused.failure.message
        state, detail = self._against(source, self._every, self._plans)
        if state != KILLED:  # by its values
            try:  # the interpreter also runs what Triton cannot compile in some other case
                self._builder.build(source, self._compiled, self._others)
            except Refusal as refused:
                return BROKEN, refused.failure.message
        return state, detail

    def _of_launcher(self, source: str) -> tuple[str, str]:
        """Hold a program that launches its kernels otherwise against the cases where it launches some, and fewer."""
        launched: dict[str, LaunchPlan] = {}
        nothing = "in no case or edge are there two of the tiles that it leaves out one of"
        for case in (*self._compiled, *self._others):
            try:
                launched[case.name] = self._builder.build(source, (), (case,)).edges[0].check
            except Refusal as refused:  # a grid of none, or of less
                nothing = f"nothing runs in any case or edge: {refused.failure.message}"
        whole = {n: p for n, p in launched.items() if len(p.launches) == len(self._plans[n].launches)}
        fewer = {n: p for n, p in whole.items() if _grids(p) != _grids(self._plans[n])}
        if fewer:
            places = [n for n in self._every if self._replays[n].trial.case in fewer]
            state, detail = self._against(source, places, fewer)
            return state, f"{detail}; it launches fewer in {len(fewer)} of {len(self._plans)} cases and edges"
        return (EQUAL, "wherever it launches anything") if whole else (UNTRIED, nothing)

    def _against(self, source: str, places: Sequence[int], plans: dict[str, LaunchPlan]) -> tuple[str, str]:
        """Hold a program, launched as the plans say, against some trials beside the original."""
        replays, made = [self._replays[n] for n in places], list[Any]()
        for part in (replays[:FIRST], replays[FIRST:]):
            try:
                made += self._run(source, part, plans)
            except Refusal as refused:
                return FAULTED, refused.failure.message
            _, failure = self._correctness.judge(replays[: len(made)], made)
            if failure is not None:
                return KILLED, failure.message
        if made == [self._original[n] for n in places]:
            return EQUAL, "in all trials"
        most = [self._most[n] for n in places]
        if all(error <= limit for error, limit in zip(self._ratios(replays, made), most, strict=True)):
            return AS_RIGHT, NO_WORSE
        return SURVIVED, "worse within its limits"

    def _ratios(self, replays: Sequence[Replay], made: Sequence[Any]) -> list[float]:
        """Return the largest error of each trial over its limit."""
        return [
            tolerance.compare(out, self._correctness.given(r.trial).outputs, POISONS[r.poison].floats).ratio
            for r, out in zip(replays, made, strict=True)
        ]

    def _run(self, source: str, replays: Sequence[Replay], plans: dict[str, LaunchPlan]) -> list[Any]:
        """Run some trials, launched as the plans say."""
        checks = self._correctness.checks(replays, plans)
        payload = {"source": source, "checks": checks, "profiles": [], "in_place": self._task.in_place}
        outcome = self._interpreter.run("interpret", payload, self._limits)
        made, _ = value(outcome, Stage.CORRECTNESS, self._task)
        return list(made)


def _grids(plan: LaunchPlan) -> list[list[tuple[int, int, int]]]:
    return [[variant.grid for variant in launch.variants] for launch in plan.launches]


def _elements(replay: Replay) -> int:
    return sum(a.elements for a in replay.trial.arguments.values() if isinstance(a, Input))
