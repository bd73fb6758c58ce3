"""A deadline is the program's own: what a busy machine keeps it waiting for a processor does not count."""

import contextlib
import os
import signal
import time
from collections.abc import Iterator
from dataclasses import replace

import pytest

from fitness import wire, zygote
from fitness.child import PATIENCE, Limits
from fitness.evaluation import Stage
from fitness.judge import Judge
from fitness.supervising import supervise
from suites import Task

SECONDS = 1.0
WORK, RIVALS = 0.15 * SECONDS, 8  # 1.35 times the limit; what else runs beside so many rivals takes little from it
TRIES = 4  # as others that are not nice, on the same processor, may take more than a child's patience: for a while


@contextlib.contextmanager
def one_processor(rivals: int) -> Iterator[None]:
    """Keep this process, what it starts, and so many processes that are never done to one processor."""
    allowed, busy = os.sched_getaffinity(0), list[int]()
    os.sched_setaffinity(0, {min(allowed)})
    try:
        for _ in range(rivals):
            pid = os.fork()
            if pid == 0:
                os.nice(zygote.NICE)  # as much as a jail's children have
                signal.alarm(60)
                while True:
                    pass
            busy.append(pid)
        yield
    finally:
        for pid in busy:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        os.sched_setaffinity(0, allowed)


def supervised(work: float, sleep: float = 0.0) -> tuple[bool, float]:
    """Supervise a child that works and sleeps for so long; return whether its result came, and after how long."""
    reader, writer = os.pipe()
    started = time.monotonic()
    supervisor = os.fork()  # a process without other children, as a job's is
    if supervisor == 0:
        pid = os.fork()
        if pid == 0:
            os.nice(zygote.NICE)
            while time.process_time() < work:
                pass
            time.sleep(sleep)
            wire.send(writer, ["result", "done"])
            os._exit(0)
        _, ending = supervise(pid, reader, Limits(seconds=SECONDS), started)
        os._exit(0 if ending[0] == "result" else 1)
    status = os.waitpid(supervisor, 0)[1]
    os.close(reader)
    os.close(writer)
    return status == 0, time.monotonic() - started


def test_what_waits_for_a_processor_is_given_that_time_on_top() -> None:
    with one_processor(RIVALS):
        for _ in range(TRIES):
            came, seconds = supervised(WORK)
            if came:
                break
    assert came
    assert seconds > SECONDS, "it waited for nothing: the test shows nothing"


@pytest.mark.parametrize("rivals", [0, 7])
def test_what_never_ends_is_ended_whoever_else_is_there(rivals: int) -> None:
    with one_processor(rivals):
        came, seconds = supervised(600.0)
    assert not came
    assert seconds < 2 * PATIENCE * SECONDS
    assert rivals == 0 or seconds > (PATIENCE - 1) * SECONDS


def test_who_sleeps_waits_for_no_processor() -> None:
    with one_processor(rivals=3):
        came, seconds = supervised(0.0, sleep=20.0)
    assert not came
    assert seconds < 2 * SECONDS


def test_a_judge_on_a_busy_machine_gives_a_program_its_time(double_task: Task) -> None:
    busy = f"import time\nwhile time.process_time() < {WORK}: pass\n" + double_task.seeds[0].source
    with contextlib.ExitStack() as stack:
        stack.enter_context(one_processor(rivals=0))
        judge = Judge(double_task, "mi300", limits=Limits(seconds=60.0), imports=False)
        stack.callback(judge.close)
        assert judge.judge(double_task.seeds[0].source).passed  # its servers have started
        judge._builder._limits = replace(judge._builder._limits, seconds=SECONDS)
        stack.enter_context(one_processor(RIVALS))
        failure = judge.judge(busy).failure
    assert failure is None or failure.stage not in (Stage.STATIC, Stage.IMPORT, Stage.RECORD), failure
