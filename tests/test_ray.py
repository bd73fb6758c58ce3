"""The same run over Ray: actors, lost workers, and what is guaranteed about order."""

import os
import resource
import signal
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from archives.events import Event, Judged, Proposed, Refused
from archives.journal import Journal, JournalError
from evo_kernel import api, config_files, runs, workers
from evo_kernel.config import Settings
from evo_kernel.errors import RunError, SeedFailed
from evo_kernel.pools import make_judge
from evo_kernel.search import Search
from fitness import evaluation as evaluations
from fitness import scratch
from operators import making
from operators.proposal import Context, ProposalError, Timed
from suites import Task, read

pytestmark = [
    pytest.mark.timeout(600),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),  # ray leaves sockets to the collector
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]


@pytest.fixture(scope="module")
def small_task(one_case_task: Task) -> Task:
    return read(one_case_task.source.replace(', case("1M-fp16", 1 << 20, "float16", "uniform")', ""), "double")


@pytest.fixture(scope="module")
def cluster(rays_folder: None) -> Iterator[None]:
    with workers.cluster(None):
        yield


PATIENCE = 200.0  # seconds for what takes a few alone
SETTINGS = Settings(target="mi300", basis="predicted", generations=2, population=6, pool="ray", workers=2)


AGENT = """import re, sys
shown = re.findall(r"```python\\n(import .*?)```", sys.stdin.read(), re.DOTALL)
number = int(re.findall(r"BLOCK=(\\d+)", shown[-1])[0]) if shown else 0
print("```python\\n" + shown[-1].replace(f"BLOCK={number}", f"BLOCK={2 * number}") + "```" if shown else "none")
"""


@pytest.mark.long
def test_a_run_over_ray_that_asks_a_model_is_whole_and_its_verdicts_are_those_of_inline(
    cluster: None, small_task: Task, tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    (tmp_path / "agent.py").write_text(AGENT)
    asking = {"models": [f"command:{sys.executable} {tmp_path / 'agent.py'}"], "model_operators": ["optimize"]}
    settings = config_files.load(None, {**SETTINGS.model_dump(), **asking, "population": 4})
    runs.begin(folder, settings, small_task)
    api.drive(folder, settings)
    state = runs.read(folder)
    assert state.search.evaluations == 8
    assert not state.search.pending
    judge = make_judge(small_task, SETTINGS)
    try:
        with Journal.read(folder) as journal:
            events = list(journal.events())
        sources = {e.number: e.candidate.source for e in events if isinstance(e, Proposed)}
        verdicts = [e for e in events if isinstance(e, Judged)]
        assert len(verdicts) == 9
        assert "optimize" in {e.candidate.operator for e in events if isinstance(e, Proposed)}
        for event in verdicts[:3]:
            assert evaluations.pack(judge.judge(sources[event.number])) == evaluations.pack(event.evaluation)
    finally:
        judge.close()


@pytest.mark.long
def test_more_judges_than_cores_share_them(cluster: None, small_task: Task, tmp_path: Path) -> None:
    settings = SETTINGS.model_copy(update={"workers": 3, "generations": 1, "population": 2})
    runs.begin(tmp_path / "run", settings, small_task)
    api.drive(tmp_path / "run", settings)
    assert runs.read(tmp_path / "run").search.evaluations == 2


def test_errors_of_the_run_arrive_as_themselves(cluster: None, small_task: Task, tmp_path: Path) -> None:
    settings = SETTINGS.model_copy(update={"workers": 1})
    wrong = replace(small_task, seeds=(replace(small_task.seeds[0], source="import nothing_of_that_name\n"),))
    runs.begin(tmp_path / "run", settings, wrong)
    with pytest.raises(SeedFailed, match="seed kernel 'plain' fails at static"):
        api.drive(tmp_path / "run", settings)
    runs.begin(tmp_path / "used", settings, small_task)
    with Journal.append_to(tmp_path / "used"), pytest.raises(JournalError, match="in use by another process"):
        api.drive(tmp_path / "used", settings)


def proposed_as_if_nobody_had_died(events: list[Event], task: Task) -> list[str]:
    """Check that each proposal is what follows from the events before it; return the operators of all, in order."""
    settings = Settings(**events[0].settings)
    search = Search(settings.seed, settings.population, settings.generations, rules=settings.rules)
    operators = {o.name: o for o in making.make(settings.operators)}
    made: list[str] = []
    for event in events[1:]:
        if isinstance(event, Refused) or (isinstance(event, Proposed) and event.candidate.operator != "seed"):
            (request,) = search.ask(1)
            timed = Timed(task.entry, task.cases, request.times) if request.times else None
            context = Context(
                request.rng, search.known, "mi300", "hip", request.relatives, request.pending, request.credit,
                request.lineages, (), timed, request.ran,
            )  # fmt: skip
            try:
                source = operators[request.operator].propose(request.parents, context).source
            except ProposalError:
                source = None
            assert source == (event.candidate.source if isinstance(event, Proposed) else None)
        if isinstance(event, Proposed):
            made.append(event.candidate.operator)
        search.tell(event)
    return made


@pytest.mark.long
def test_kills_in_the_middle_of_a_tuned_structure_cost_attempts_and_change_no_proposal(
    cluster: None, small_task: Task, tmp_path: Path
) -> None:
    folder, settings = tmp_path / "run", SETTINGS.model_copy(update={"population": 4})
    runs.begin(folder, settings, small_task)
    driver = workers.RayDriver(folder, settings)
    killed: list[int] = []

    def kill(pid: int) -> None:
        os.kill(pid, signal.SIGKILL)
        killed.append(pid)

    try:
        while driver.advance().evaluations < 1:
            pass
        _, *judges = driver.pids()
        for pid in judges[:2]:  # a judge's process and its fork server, if one is idle
            kill(pid)
        while driver.advance().evaluations < 2:
            pass
        with Journal.read(folder) as journal:
            before = sum(isinstance(e, Proposed) for e in journal.events())
        kill(driver.pids()[0])
        while not (progress := driver.advance()).done:
            pass
    finally:
        driver.close()
    assert killed
    assert progress.evaluations == 8
    with Journal.read(folder) as journal:
        events = list(journal.events())
    numbers = [e.number for e in events if isinstance(e, Judged)]
    assert len(numbers) == len(set(numbers)) == 9
    made = proposed_as_if_nobody_had_died(events, small_task)
    assert len(made) > before
    assert "knob-tune" in made
    assert "machine" not in runs.read(folder).search.archive.failures


def test_a_judge_that_cannot_write_says_so_and_fails_no_program(cluster: None, small_task: Task) -> None:
    pool = workers.RayPool(small_task, SETTINGS.model_copy(update={"workers": 1}))
    try:
        deadline = time.monotonic() + PATIENCE
        while not pool.free():
            pool.wait(1.0)
        resource.prlimit(pool.pids()[0], resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))
        pool.submit(1, small_task.seeds[0].source.replace("return out", "raise OSError(28, 'No space left')"))
        while not (done := pool.wait(1.0)):
            assert time.monotonic() < deadline
        assert (done[0].evaluation, done[0].full) == (None, True)
        assert "make room, or name another folder by TMPDIR" in done[0].lost
    finally:
        pool.close()


def test_ray_is_not_started_where_nothing_can_be_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scratch, "ROOM", 1 << 62)
    with pytest.raises(RunError, match="Ray cannot start: judging needs room"), workers.cluster(None):
        pass


def test_a_judge_killed_in_the_middle_of_a_candidate_is_retried_once(
    cluster: None, small_task: Task, tmp_path: Path
) -> None:
    pool = workers.RayPool(small_task, SETTINGS.model_copy(update={"workers": 1}))
    try:
        while not pool.free():
            pool.wait(1.0)
        (pid, *_) = pool.pids()
        pool.submit(1, small_task.seeds[0].source)
        killer = threading.Timer(0.3, lambda: os.kill(pid, signal.SIGKILL))
        killer.start()
        deadline = time.monotonic() + PATIENCE
        while not (done := pool.wait(1.0)):
            assert time.monotonic() < deadline
        killer.join()
        assert done[0].evaluation is None
        assert "died" in done[0].lost
        assert pool.free() == 0  # nothing new for a judge that is being started again
        while not pool.free():
            assert pool.wait(1.0) == []
            assert time.monotonic() < deadline
        pool.submit(2, small_task.seeds[0].source)
        while not (done := pool.wait(1.0)):
            assert time.monotonic() < deadline + PATIENCE
        assert done[0].evaluation is not None
        assert done[0].evaluation.passed
    finally:
        pool.close()
