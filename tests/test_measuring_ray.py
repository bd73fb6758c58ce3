"""Measuring over Ray, with real builders and a judge of the test on a GPU that Ray only believes in."""

import os
import resource
import signal
import sys
import time
from collections.abc import Iterator, Mapping

import pytest
import ray

from evo_kernel.config import Settings
from evo_kernel.errors import RunError
from evo_kernel.gpu_workers import MeasuringRayPool
from evo_kernel.pools import Done
from fitness.build import Built
from fitness.correctness import Limits
from fitness.evaluation import Basis, CaseResult, Evaluation, Failure
from fitness.jail import NoRoom
from suites import Case, Task

ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])  # workers cannot import tests

pytestmark = [
    pytest.mark.timeout(600),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),  # ray leaves sockets to the collector
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]
PATIENCE = 200.0  # seconds for what takes a few alone
SETTINGS = Settings(target="h200", basis="measured", workers=2, judges=2)


class Judge:
    """Says how many bytes of machine code came, and whom it would have been timed beside."""

    edges: tuple[Case, ...] = ()

    def measure(self, built: Built, against: Mapping[str, str], confirm: bool | None = None) -> Evaluation:
        size = sum(len(c.binary) for c in built.code.values())
        case = CaseResult(built.recorded[0].case.name, float(size), 0.0, 1.0, ",".join(against))
        return Evaluation("h200", Basis.MEASURED, "process", None, (case,), program=built.program, confirmed=True)

    def news(self) -> Limits:
        return {"full size a/base/0": (0.5,)}

    def refusal(self, failure: Failure) -> Evaluation:
        return Evaluation("h200", Basis.MEASURED, "process", failure)

    def pids(self) -> list[int]:
        return []

    def close(self) -> None:
        """Hold nothing."""


def fake(task: Task, settings: Settings, first: bool) -> Judge:
    return Judge()


class Homeless(Judge):
    """Has no room for temporary files."""

    def measure(self, built: Built, against: Mapping[str, str], confirm: bool | None = None) -> Evaluation:
        raise NoRoom("no room here")


def homeless(task: Task, settings: Settings, first: bool) -> Judge:
    return Homeless()


def broken(task: Task, settings: Settings, first: bool) -> Judge:
    raise RunError("the GPU cannot be used: no context")


@pytest.fixture(scope="module")
def cluster(rays_folder: None) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.setenv("CUDA_VISIBLE_DEVICES", "0")
        ray.init(address="local", num_cpus=2, num_gpus=1, include_dashboard=False, log_to_driver=False)
        yield
        ray.shutdown()


def collect(pool: MeasuringRayPool, count: int) -> dict[int, Done]:
    done: dict[int, Done] = {}
    deadline = time.monotonic() + PATIENCE
    while len(done) < count:
        assert time.monotonic() < deadline, done
        done |= {d.ticket: d for d in pool.wait(0.5, {"baseline": "seed"})}
    return done


def ready(pool: MeasuringRayPool, count: int) -> None:
    deadline = time.monotonic() + PATIENCE
    while pool.free() < count:
        assert time.monotonic() < deadline
        assert pool.wait(0.5) == []


def test_builders_build_and_the_gpu_measures_and_a_lost_one_costs_its_attempt(
    cluster: None, one_case_task: Task
) -> None:
    pool = MeasuringRayPool(one_case_task, SETTINGS, fake)
    try:
        ready(pool, 2)
        assert len(pool._judges) == 2  # on the one GPU
        source = one_case_task.seeds[0].source
        pool.submit(1, source)
        pool.submit(2, "def (")
        done = collect(pool, 2)
        good, bad = done[1].evaluation, done[2].evaluation
        assert good is not None
        assert good.cases[0].time_us > 1000  # bytes of machine code for sm_90
        assert good.cases[0].bound == "baseline"
        assert done[1].limits == {"full size a/base/0": (0.5,)}
        assert bad is not None
        assert bad.failure is not None
        assert bad.failure.stage == "static"
        for actor in (pool._judges[0], pool._builders[0]):
            os.kill(pool._pids[actor][0], signal.SIGKILL)
        again: dict[int, Done] = {}
        number = 3
        deadline = time.monotonic() + PATIENCE
        while not any(d.evaluation for d in again.values()) or not any(d.lost for d in again.values()):
            assert time.monotonic() < deadline, again
            if pool.free():
                pool.submit(number, source.replace("BLOCK=128", f"BLOCK={128 << number % 4}"))
                number += 1
            again |= {d.ticket: d for d in pool.wait(0.5)}
        assert all((d.evaluation is None) == bool(d.lost) for d in again.values())
    finally:
        pool.close()


def test_builders_and_judges_that_cannot_write_say_so(cluster: None, one_case_task: Task) -> None:
    pool = MeasuringRayPool(one_case_task, SETTINGS, homeless)
    try:
        ready(pool, 2)
        source = one_case_task.seeds[0].source
        for builder in pool._builders:
            resource.prlimit(pool._pids[builder][0], resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))
        pool.submit(1, source)
        pool.submit(2, source.replace("return out", "raise OSError(28, 'No space left')"))
        done = collect(pool, 2)
        assert (done[1].evaluation, done[1].lost, done[1].full) == (None, "no room here", True)
        assert (done[2].evaluation, done[2].full) == (None, True)
        assert "make room" in done[2].lost
    finally:
        pool.close()


def test_a_gpu_that_cannot_be_used_is_one_line(cluster: None, one_case_task: Task) -> None:
    pool = MeasuringRayPool(one_case_task, SETTINGS.model_copy(update={"workers": 1}), broken)
    try:
        with pytest.raises(RunError, match="no GPU of the Ray cluster can be used: the GPU cannot be used: no context"):
            ready(pool, 1)
    finally:
        pool.close()


def test_a_cluster_without_gpus_is_one_line(
    cluster: None, one_case_task: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ray, "cluster_resources", lambda: {"CPU": 2.0})
    with pytest.raises(RunError, match="Ray sees no GPU"):
        MeasuringRayPool(one_case_task, SETTINGS, fake)
