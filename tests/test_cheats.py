"""Every known way to be fooled is a file: each must be refused, at the gate that its docstring names."""

import functools
from collections.abc import Callable
from dataclasses import replace
from typing import Protocol

import pytest
from conftest import PATIENT, lent
from programs import CLASSES, NEEDS, TESTS, Program, programs, read, task

from fitness.child import Limits
from fitness.evaluation import Evaluation
from fitness.jail import Jail
from fitness.judge import Judge
from suites import Task

CHEATS = programs("cheats")
CASES = 1  # of a task's public cases, without a GPU: the interpreter takes about 0.3 s for each; and all its edges
TWICE = ("softmax",)  # some programs do wrong at its second case alone
SEED = 7  # not the default: no cheat may know its inputs


class Judging(Protocol):
    def judge(self, source: str) -> Evaluation: ...


@pytest.fixture(scope="module")
def judge_of(jails: Callable[[str], Jail]) -> Callable[[str], Judge]:
    """Give the judge of a task."""

    @functools.cache
    def find(name: str) -> Judge:
        with lent(jails):
            return Judge(
                few_cases(name, 2 if name in TWICE else CASES), "mi300", SEED, Limits(seconds=PATIENT, memory=3 << 30)
            )

    return find


def few_cases(name: str, count: int) -> Task:
    whole = task(name)
    return replace(whole, cases=whole.cases[:count])


def refused_as(judge: Judging, cheat: Program) -> str:
    failure = judge.judge(cheat.source).failure
    return "passed" if failure is None else f"{failure.stage}/{failure.kind}"


def in_order_of_tasks(cheats: list[Program]) -> list[Program]:
    return sorted(cheats, key=lambda c: (c.task, c.path.stem))


def name_of(program: Program) -> str:
    return program.path.stem


@pytest.mark.parametrize("cheat", in_order_of_tasks([c for c in CHEATS if c.needs is None]), ids=name_of)
def test_a_cheat_is_refused_at_the_gate_it_names(cheat: Program, judge_of: Callable[[str], Judge]) -> None:
    assert refused_as(judge_of(cheat.task), cheat) == cheat.gate


@pytest.mark.gpu
@pytest.mark.parametrize("cheat", in_order_of_tasks(CHEATS), ids=name_of)
def test_a_cheat_is_refused_by_the_judge_that_measures(cheat: Program, gpu_judge: Callable[[Task], Judging]) -> None:
    assert refused_as(gpu_judge(task(cheat.task)), cheat) == (cheat.gpu_gate or cheat.gate)


def test_there_are_cheats_of_every_class() -> None:
    assert len(CHEATS) >= 60
    assert {c.group for c in CHEATS} == {*CLASSES, "H"}
    assert len({c.path.stem.split("_", 1)[1] for c in CHEATS}) == len(CHEATS)
    assert all(c.gate and c.gate.count("/") == 1 for c in CHEATS)
    assert all(c.fools for c in CHEATS if c.group != "H")


def test_most_cheats_are_refused_without_a_gpu() -> None:
    assert sum(c.needs is None for c in CHEATS) >= 60
    assert {c.needs for c in CHEATS} <= {None, *NEEDS}


def test_a_docstring_that_is_not_in_the_form_is_an_error(tmp_path) -> None:  # type: ignore[no-untyped-def]
    for number, text in enumerate(("Does it.\n\ntask: flip\ngate", "Does it\n\ntask: flip", "Does it.\n\ngate: a/b",
                                   "Does it.\n\ntask: flip\nneeds: luck", "Does it.\n\ntask: flip\nfools: everybody")):  # fmt: skip
        path = tmp_path / f"{number:02}_cheat.py"
        path.write_text(f'"""{text}\n"""\n')
        with pytest.raises(ValueError, match=f"{number:02}_cheat.py"):
            read(path)


def test_the_seed_of_every_own_task_passes(judge_of: Callable[[str], Judge]) -> None:
    for path in sorted((TESTS / "tasks").glob("*.py")):
        name = path.stem
        verdict = judge_of(name).judge(task(name).seeds[0].source)
        assert verdict.passed, f"{name}: {verdict.failure}"
