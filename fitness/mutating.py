"""Runs a task's reference and seeds with one place changed, and asks which of these wrong programs the task refuses.

A mutant is killed where a trial of the cases, held-out cases or small edges refuses it, or its run ends in a fault. It
is equal where it gives the very bytes of the original in all of them, whatever memory held before: a mask whose lanes
nobody stores, say. It is as right where it differs and in no trial errs more than an honest program: it computes the
same in another way, as softmax does that takes away another number near a row's maximum. One that cannot be compiled,
or raises in every trial, does not run and shows nothing. All others survive: they are worse, and the task does not see
it.

A launcher of too few programs is held against those cases alone where it launches some, and fewer than the original:
that nothing is launched at all where there is one tile is no question to the task's data. Where there is no such case
it is untried.
"""

import ast
import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

from fitness import mutation, tolerance, yardstick
from fitness.build import Builder, Purpose, Refusal, value
from fitness.child import Limits
from fitness.correctness import Correctness, Replay
from fitness.evaluation import Stage
from fitness.jail import Jail
from fitness.lint import ground
from fitness.mutants import Ground
from fitness.mutation import Mutant
from fitness.plan import LaunchPlan
from fitness.poison import POISONS
from fitness.targets import find
from suites import Seed, Task, TaskError
from suites.loading import functions, parts
from suites.parsing import parse
from suites.task import Input, pack
from suites.trials import few, interpretable

KILLED, EQUAL, AS_RIGHT, SURVIVED, BROKEN = "killed", "equal", "as right", "survived", "does not run"
UNTRIED = "untried"
STATES = (KILLED, SURVIVED, EQUAL, AS_RIGHT, BROKEN, UNTRIED)
SECONDS = 600.0  # for all mutants of a reference; a mutant of a seed has a tenth
MOST = 40  # mutants of the reference, and of each seed
FIRST = 3  # trials that are run first: most mutants are killed by them
WANTED = 0.95  # of the mutants that differ, are not as right and run, the share that should be killed
ALIKE = 1.25  # times the largest error of the original and the honest bank, in each trial: roundings fall otherwise

_RAISED = (ArithmeticError, AttributeError, LookupError, NameError, RuntimeError, TypeError, ValueError)

_NO_WORSE = "differs, and errs no more than honest programs in any trial"
_NOTHING_LAUNCHED = "launches nothing in any case or edge: none has two of the tiles that it leaves out one of"

Say = Callable[[str], None]
Honest = dict[tuple[str, str], float]  # by case and trial: the largest error of the bank over its limit


@dataclass(frozen=True, slots=True)
class Tried:
    """What became of one mutant of the reference, or of a seed by its name."""

    of: str
    mutant: Mutant
    state: str
    detail: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of the mutants that were tried, and how many there are in all."""

    tried: tuple[Tried, ...]
    made: int


def share(tried: Sequence[Tried]) -> float | None:
    """Return the killed among those that could be; None where there are none."""
    killed, survived = (sum(t.state == state for t in tried) for state in (KILLED, SURVIVED))
    return killed / (killed + survived) if killed + survived else None


def mutate(task: Task, target: str, most: int = MOST, seed: int = 0, say: Say = lambda _: None) -> Outcome:
    """Try mutants of a task's reference and seeds, at most so many of each; `say` is told of each in a line."""
    with contextlib.closing(Jail("compiled")) as jail:
        honest, found, made = _of_reference(task, jail, most, seed)
        say(f"reference: {len(found)} of {made} tried: {_counted(found)}")
        with contextlib.closing(Jail("interpreter")) as interpreter:
            for own in task.seeds:
                runner = _Runner(task, target, seed, jail, interpreter, honest)
                every = mutation.of_program(own.source)
                chosen = mutation.spread(every, most)
                made += len(every)
                runner.begin(own)
                for number, mutant in enumerate(chosen, 1):
                    found.append(Tried(own.name, mutant, *runner.judge(mutant)))
                    say(f"seed {own.name} [{number}/{len(chosen)}] {found[-1].state}: {mutant.said}")
    return Outcome(tuple(found), made)


def _counted(found: list[Tried]) -> str:
    return ", ".join(f"{sum(t.state == state for t in found)} {state}" for state in STATES)


def _of_reference(task: Task, jail: Jail, most: int, seed: int) -> tuple[Honest, list[Tried], int]:
    """Run mutants of the reference, and the honest bank, in a child that runs the task's own code alone."""
    _, text = parts(task.source)
    used = _used(text)
    every = mutation.mutants(text, lambda f: f.name in used)
    chosen = mutation.spread(every, most)
    payload = {"task": pack(task), "sources": [m.source for m in chosen], "seed": seed}
    outcome = jail.run("mutate", payload, Limits(seconds=SECONDS))
    if outcome.kind is not None:
        raise TaskError(f"task {task.name}: its mutants cannot be run: {outcome.message}")
    honest, states = outcome.value
    found = [Tried("reference", mutant, *said) for mutant, said in zip(chosen, states, strict=True)]
    return {(case, trial): error for case, trial, error in honest}, found, len(every)


def _used(text: str) -> set[str]:
    """Name the reference and the functions of the file that it comes to call."""
    every = {n.name: n for n in parse(text).body if isinstance(n, ast.FunctionDef)}
    used, left = set(), ["reference"]
    while left:
        name = left.pop()
        if name in every and name not in used:
            used.add(name)
            left += [n.id for n in ast.walk(every[name]) if isinstance(n, ast.Name)]
    return used


@dataclass(frozen=True, slots=True)
class Held:
    """One trial that mutants are held against, and the largest error of an honest program there, over its limit."""

    ground: Ground
    honest: float


def held(task: Task, seed: int) -> list[Held]:
    """Draw every trial and run the honest bank on it; runs the task's own code."""
    cases = (*task.cases, *task.held_out, *(e for e in task.edges if interpretable(e)))
    own, found = functions(task), []
    for trial in (t for group in few(task, cases).values() for t in group):
        g = ground(own, trial, seed)
        bank = [_made(function, g) for _, function in own.honest]
        found.append(Held(g, max(_largest(g, made) for made in (g.eager, *bank))))
    return found


def references(task: Task, sources: list[str], trials: list[Held]) -> Iterator[tuple[str, str]]:
    """Say what becomes of each mutant of the reference; runs the task's own code."""
    for source in sources:
        try:
            changed = functions(replace(task, source=source)).reference
        except (TaskError, KeyError) as error:  # of a name that is gone
            yield BROKEN, str(error)
            continue
        yield _settled([_against(changed, one) for one in trials])


def _against(changed: Callable[..., Any], one: Held) -> tuple[str, str]:
    """Hold one mutant of the reference against one trial."""
    g = one.ground
    where = f"case {g.trial.case}, {g.trial.said}"
    try:
        made = _made(changed, g)
    except _RAISED as error:
        return BROKEN, f"{where}: {type(error).__name__}"
    if len(made) != len(g.yardsticks):
        return KILLED, where
    worst = _largest(g, made)
    if worst > 1.0:
        return KILLED, where
    if all(_same(*pair) for pair in zip(made, g.eager, strict=True)):
        return EQUAL, where
    return (AS_RIGHT if worst <= ALIKE * one.honest else SURVIVED), where


def _made(function: Callable[..., Any], g: Ground) -> list[torch.Tensor]:
    return yardstick.outputs(function(*[yardstick.copied(v) for v in g.values.values()]))


def _largest(g: Ground, made: Sequence[torch.Tensor]) -> float:
    """Return the largest error of a trial's outputs over its limit."""
    return max(yardstick.ratio(y, m)[0] for y, m in zip(g.yardsticks, made, strict=True))


def _same(one: torch.Tensor, other: torch.Tensor) -> bool:
    return bool(torch.equal(*(t.contiguous().reshape(-1).view(torch.uint8) for t in (one, other))))


def _settled(found: list[tuple[str, str]]) -> tuple[str, str]:
    """Join what became of a mutant in every trial: one that raises in some alone is killed there."""
    killed = [where for state, where in found if state == KILLED]
    raised = [where for state, where in found if state == BROKEN]
    if killed:
        return KILLED, f"by {len(killed)} of {len(found)} trials, first {killed[0]}"
    if raised:
        return (BROKEN if len(raised) == len(found) else KILLED), raised[0]
    differs = [where for state, where in found if state == SURVIVED]
    if differs:
        return SURVIVED, f"worse within its limits, first in {differs[0]}"
    return (AS_RIGHT, _NO_WORSE) if any(state == AS_RIGHT for state, _ in found) else (EQUAL, "in all trials")


class _Runner:
    """Runs mutants of seeds under the interpreter, on the cheapest trials first.

    Where a kernel is changed, mutants are launched as the original is; where the launcher is, as it says itself.
    """

    def __init__(self, task: Task, target: str, seed: int, jail: Jail, interpreter: Jail,
                 honest: Honest) -> None:  # fmt: skip
        self._task, self._interpreter, self._honest = task, interpreter, honest
        self._limits = Limits(seconds=SECONDS / 10)
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
        if state != KILLED:
            try:  # the interpreter also runs what Triton cannot compile in some other case
                self._builder.build(source, self._compiled, self._others)
            except Refusal as refused:
                return BROKEN, refused.failure.message
        return state, detail

    def _of_launcher(self, source: str) -> tuple[str, str]:
        """Hold a program that launches its kernels otherwise against the cases where it launches some, and fewer."""
        launched: dict[str, LaunchPlan] = {}
        for case in (*self._compiled, *self._others):
            with contextlib.suppress(Refusal):  # a grid of none, or of less
                launched[case.name] = self._builder.build(source, (), (case,)).edges[0].check
        whole = {n: p for n, p in launched.items() if len(p.launches) == len(self._plans[n].launches)}
        fewer = {n: p for n, p in whole.items() if _grids(p) != _grids(self._plans[n])}
        if fewer:
            places = [n for n in self._every if self._replays[n].trial.case in fewer]
            state, detail = self._against(source, places, fewer)
            return state, f"{detail}; it launches fewer in {len(fewer)} of {len(self._plans)} cases and edges"
        return (EQUAL, "wherever it launches anything") if whole else (UNTRIED, _NOTHING_LAUNCHED)

    def _against(self, source: str, places: Sequence[int], plans: dict[str, LaunchPlan]) -> tuple[str, str]:
        """Hold a program, launched as the plans say, against some trials beside the original."""
        replays, made = [self._replays[n] for n in places], list[Any]()
        for part in (replays[:FIRST], replays[FIRST:]):
            try:
                made += self._run(source, part, plans)
            except Refusal as refused:
                return KILLED, refused.failure.message
            _, failure = self._correctness.judge(replays[: len(made)], made)
            if failure is not None:
                return KILLED, failure.message
        if made == [self._original[n] for n in places]:
            return EQUAL, "in all trials"
        most = [self._most[n] for n in places]
        if all(error <= limit for error, limit in zip(self._ratios(replays, made), most, strict=True)):
            return AS_RIGHT, _NO_WORSE
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
