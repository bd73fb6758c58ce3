"""Runs a task's reference and seeds with one place changed, and asks which of these wrong programs the task refuses.

A mutant is killed where a trial of the cases, held-out cases or small edges refuses its values. It faults where none
does, and its run in one ends in a fault: it is refused there too, and counts as killed, but is counted apart. It
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
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from fitness import mutation
from fitness.child import Limits
from fitness.jail import Jail
from fitness.mutated_seeds import Runner
from fitness.mutation import FAULTED, KILLED, STATES, SURVIVED, Mutant
from suites import Task, TaskError
from suites.loading import parts
from suites.parsing import parse
from suites.task import pack

SECONDS = 600.0  # for all mutants of a reference
MOST = 40  # mutants of the reference, and of each seed
WANTED = 0.95  # of the mutants that differ, are not as right and run, the share that should be killed


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
    """Return the killed, by values or a fault, among those that could be; None where there are none."""
    killed, survived = (sum(t.state in states for t in tried) for states in ((KILLED, FAULTED), (SURVIVED,)))
    return killed / (killed + survived) if killed + survived else None


def mutate(task: Task, target: str, most: int = MOST, seed: int = 0, say: Say = lambda _: None) -> Outcome:
    """Try mutants of a task's reference and seeds, at most so many of each; `say` is told of each in a line."""
    with contextlib.closing(Jail("compiled")) as jail:
        honest, found, made = _of_reference(task, jail, most, seed)
        say(f"reference: {len(found)} of {made} tried: {_counted(found)}")
        with contextlib.closing(Jail("interpreter")) as interpreter:
            for own in task.seeds:
                runner = Runner(task, target, seed, jail, interpreter, honest)
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
