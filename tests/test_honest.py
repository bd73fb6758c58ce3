"""Unusual kernels that are right: none of them may be refused."""

from collections.abc import Callable

import pytest
from programs import Program, programs, task
from test_cheats import Judging, in_order_of_tasks, judge_of, name_of

from fitness.evaluation import Stage
from fitness.feedback import advice
from fitness.judge import Judge
from suites import Task

__all__ = ["judge_of"]  # a fixture

HONEST = programs("honest")


@pytest.mark.parametrize("program", in_order_of_tasks([h for h in HONEST if h.needs is None]), ids=name_of)
def test_an_honest_program_is_not_refused(program: Program, judge_of: Callable[[str], Judge]) -> None:
    verdict = judge_of(program.task).judge(program.source)
    assert verdict.passed, verdict.failure


def test_what_the_interpreter_cannot_do_is_not_charged_to_the_kernel(judge_of: Callable[[str], Judge]) -> None:
    (program,) = [h for h in HONEST if h.path.stem.endswith("device_library")]
    failure = judge_of(program.task).judge(program.source).failure
    assert failure is not None
    assert (failure.stage, failure.kind) == (Stage.CORRECTNESS, "interpreter")
    assert failure.message == "the interpreter cannot judge this: `tanh` of the device's own library"
    assert "may be right" in str(advice(failure))


@pytest.mark.gpu
@pytest.mark.parametrize("program", in_order_of_tasks(HONEST), ids=name_of)
def test_an_honest_program_is_not_refused_by_the_judge_that_measures(
    program: Program, gpu_judge: Callable[[Task], Judging]
) -> None:
    verdict = gpu_judge(task(program.task)).judge(program.source)
    assert verdict.passed, verdict.failure


def test_there_are_many_honest_programs() -> None:
    assert len(HONEST) >= 40
    assert len({h.number for h in HONEST}) == len({h.path.stem.split("_", 1)[1] for h in HONEST}) == len(HONEST)
    assert not any(h.gate or h.fools for h in HONEST)
    assert sum(h.needs is None for h in HONEST) >= 40
