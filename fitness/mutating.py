"""Runs a task's reference and seeds with one place changed, and asks which of these wrong programs the task refuses.

A mutant is killed where a trial of the cases, held-out cases or small edges refuses it, or its run ends in a fault. It
is equal where it gives the very bytes of the original in all of them, whatever memory held before: a mask whose lanes
nobody stores, say. One that cannot be compiled, or raises in every trial, does not run and shows nothing. All others
survive: they differ, and the task does not see it.
"""

import ast
import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import torch

from fitness import mutation, yardstick
from fitness.build import Builder, Built, Purpose, Refusal, value
from fitness.child import Limits
from fitness.correctness import Correctness, Replay
from fitness.evaluation import Stage
from fitness.jail import Jail
from fitness.lint import ground
from fitness.mutation import Mutant
from fitness.targets import find
from suites import Task, TaskError
from suites.loading import functions, parts
from suites.parsing import parse
from suites.task import Input, pack
from suites.trials import few, interpretable

KILLED, EQUAL, SURVIVED, BROKEN = "killed", "equal", "survived", "does not run"
SECONDS = 600.0  # for all mutants of a reference; a mutant of a seed has a tenth
MOST = 40  # mutants of the reference, and of each seed
FIRST = 3  # trials that are run first: most mutants are killed by them
WANTED = 0.95  # of the mutants that are not equal and run, the share that should be killed

_RAISED = (ArithmeticError, AttributeError, LookupError, NameError, RuntimeError, TypeError, ValueError)

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Tried:
    """What became of one mutant of the reference, or of a seed by its name."""

    of: str
    mutant: Mutant
    state: str
    detail: str


def share(tried: list[Tried]) -> float:
    """Return the killed among those that could be; 1 where there are none."""
    killed, survived = (sum(t.state == state for t in tried) for state in (KILLED, SURVIVED))
    return killed / (killed + survived) if killed + survived else 1.0


def mutate(task: Task, target: str, most: int = MOST, seed: int = 0, say: Say = lambda _: None) -> list[Tried]:
    """Try mutants of a task's reference and seeds, at most so many of each; `say` is told of each in a line."""
    with contextlib.closing(Jail("compiled")) as jail:
        found = list(_of_reference(task, jail, most, seed))
        say(f"reference: {_counted(found)}")
        with contextlib.closing(Jail("interpreter")) as interpreter:
            for own in task.seeds:
                runner = _Runner(task, target, seed, jail, interpreter)
                chosen = mutation.spread(mutation.mutants(own.source, mutation.is_kernel), most)
                original = runner.outputs(own.source)
                if isinstance(original, str):
                    raise TaskError(f"task {task.name}, seed {own.name}: it fails itself: {original}")
                for number, mutant in enumerate(chosen, 1):
                    found.append(Tried(own.name, mutant, *runner.judge(mutant.source, original)))
                    say(f"seed {own.name} [{number}/{len(chosen)}] {found[-1].state}: {mutant.said}")
    return found


def _counted(found: list[Tried]) -> str:
    states = (KILLED, SURVIVED, EQUAL, BROKEN)
    return ", ".join(f"{sum(t.state == state for t in found)} {state}" for state in states)


def _of_reference(task: Task, jail: Jail, most: int, seed: int) -> Iterator[Tried]:
    """Run mutants of the reference in a child that runs the task's own code alone."""
    _, text = parts(task.source)
    used = _used(text)
    chosen = mutation.spread(mutation.mutants(text, lambda f: f.name in used), most)
    payload = {"task": pack(task), "sources": [m.source for m in chosen], "seed": seed}
    outcome = jail.run("mutate", payload, Limits(seconds=SECONDS))
    if outcome.kind is not None:
        raise TaskError(f"task {task.name}: its mutants cannot be run: {outcome.message}")
    for mutant, (state, detail) in zip(chosen, outcome.value, strict=True):
        yield Tried("reference", mutant, state, detail)


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


def references(task: Task, sources: list[str], seed: int) -> Iterator[tuple[str, str]]:
    """Say what becomes of each mutant of the reference; runs the task's own code."""
    cases = (*task.cases, *task.held_out, *(e for e in task.edges if interpretable(e)))
    own = functions(task)
    grounds = [ground(own, t, seed) for group in few(task, cases).values() for t in group]
    for source in sources:
        try:
            changed = functions(replace(task, source=source)).reference
        except (TaskError, KeyError) as error:  # of a name that is gone
            yield BROKEN, str(error)
            continue
        yield _settled([_against(changed, g) for g in grounds])


def _against(changed: Callable[..., Any], g: Any) -> tuple[str, str]:
    """Hold one mutant of the reference against one trial."""
    where = f"case {g.trial.case}, {g.trial.said}"
    try:
        made = yardstick.outputs(changed(*[yardstick.copied(v) for v in g.values.values()]))
    except _RAISED as error:
        return BROKEN, f"{where}: {type(error).__name__}"
    if len(made) != len(g.yardsticks):
        return KILLED, where
    if any(yardstick.ratio(y, m)[0] > 1.0 for y, m in zip(g.yardsticks, made, strict=True)):
        return KILLED, where
    return (EQUAL if all(_same(*pair) for pair in zip(made, g.eager, strict=True)) else SURVIVED), where


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
    return (SURVIVED, f"differs within its limits, first in {differs[0]}") if differs else (EQUAL, "in all trials")


class _Runner:
    """Runs mutants of seeds under the interpreter, on the cheapest trials first."""

    def __init__(self, task: Task, target: str, seed: int, jail: Jail, interpreter: Jail) -> None:
        self._task, self._interpreter = task, interpreter
        self._limits = Limits(seconds=SECONDS / 10)
        self._builder = Builder(task, find(target), self._limits, Purpose(code=False), jail)
        self._correctness = Correctness(task, seed, jail)
        cases = (*task.cases, *task.held_out)
        self._replays = sorted(self._correctness.replays(cases), key=_elements)
        first = min(cases, key=lambda c: sum(a.elements for a in c.inputs.values() if isinstance(a, Input)))
        # one case is compiled, so that what the compiler refuses is told from what the task refuses
        self._compiled = (first,)
        self._others = (*(c for c in cases if c is not first), *self._correctness.edges)

    def outputs(self, source: str) -> list[Any] | str:
        """Return a program's outputs in all trials, or what is wrong with them."""
        made = self._run(self._built(source), source, self._replays)
        _, failure = self._correctness.judge(self._replays, made)
        return made if failure is None else failure.message

    def judge(self, source: str, original: Any) -> tuple[str, str]:
        """Say what becomes of a mutant."""
        try:
            built = self._built(source)
        except Refusal as refused:
            return BROKEN, refused.failure.message
        made: list[Any] = []
        for part in (self._replays[:FIRST], self._replays[FIRST:]):
            try:
                made += self._run(built, source, part)
            except Refusal as refused:
                return KILLED, refused.failure.message
            _, failure = self._correctness.judge(self._replays[: len(made)], made)
            if failure is not None:
                return KILLED, failure.message
        return (EQUAL, "in all trials") if made == original else (SURVIVED, "differs within its limits")

    def _built(self, source: str) -> Built:
        return self._builder.build(source, self._compiled, self._others)

    def _run(self, built: Built, source: str, replays: list[Replay]) -> list[Any]:
        """Run some trials."""
        plans = {r.case.name: r.check for r in (*built.recorded, *built.edges)}
        checks = self._correctness.checks(replays, plans)
        payload = {"source": source, "checks": checks, "profiles": [], "in_place": self._task.in_place}
        outcome = self._interpreter.run("interpret", payload, self._limits)
        made, _ = value(outcome, Stage.CORRECTNESS, self._task)
        return list(made)


def _elements(replay: Replay) -> int:
    return sum(a.elements for a in replay.trial.arguments.values() if isinstance(a, Input))
