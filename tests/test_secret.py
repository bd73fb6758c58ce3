"""One secret a run: all its judges draw the same inputs, whoever resumes it, and nothing else may know it."""

import stat
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from archives.events import Sealed
from archives.journal import FILE, Journal
from evo_kernel import frozen, measuring, pools, runs, secret, workers
from evo_kernel.config import Settings
from evo_kernel.pools import Done
from evo_kernel.population import Population
from fitness import targets
from fitness.gpu.court import Court, Device
from fitness.measure import MeasuringJudge
from suites import Task

MEASURED = Settings(target="h200", basis="measured", pool="inline")


class Seeded:
    """A pool that remembers the seed its judges would draw inputs from."""

    seeds: list[int | None] = []

    def __init__(self, task: Task, settings: Settings, seed: int | None) -> None:
        self.seeds.append(seed)

    def free(self) -> int:
        return 0

    def submit(self, ticket: int, source: str) -> None:
        raise AssertionError("nothing is free")

    def wait(self, seconds: float, against: Mapping[str, str] | None = None) -> list[Done]:
        return []

    def close(self) -> None:
        """Hold nothing."""


def opened(folder: Path) -> tuple[int | None, tuple[str, ...]]:
    """Open a run as whoever drives it does; return the seed that its judges are given, and what a person is told."""
    population = Population(folder, Seeded)
    notes = population.progress().notes
    population.close()
    return Seeded.seeds[-1], notes


def sealed(folder: Path) -> list[Sealed]:
    with Journal.read(folder) as journal:
        return [e for e in journal.events() if isinstance(e, Sealed)]


@pytest.fixture
def run(tmp_path: Path, double_task: Task) -> Path:
    runs.begin(tmp_path / "run", MEASURED, double_task)
    return tmp_path / "run"


def test_whoever_resumes_a_measured_run_judges_by_the_same_secret_inputs(run: Path) -> None:
    seed, notes = opened(run)
    assert (seed is not None, notes) == (True, ())
    assert [opened(run), opened(run)] == [(seed, ())] * 2
    kept = (run / secret.FILE).read_bytes()
    assert stat.S_IMODE((run / secret.FILE).stat().st_mode) == 0o600
    assert sealed(run) == [Sealed(secret.fingerprint(kept))]
    for file in run.glob(f"{FILE}*"):
        assert not any(form in file.read_bytes() for form in (kept, kept.hex().encode(), str(seed).encode()))
    assert not list(run.glob("*.partial"))


@pytest.mark.parametrize("harm", [Path.unlink, lambda p: p.write_bytes(bytes(32)), lambda p: p.write_bytes(b"cut")])
def test_a_lost_secret_is_said_replaced_once_and_noted(run: Path, harm: Callable[[Path], object]) -> None:
    before, _ = opened(run)
    frozen.hold(run, {"full size a/base/0": (1.0,)})
    harm(run / secret.FILE)
    after, (said,) = opened(run)
    assert f"the secret that {run} draws inputs from is" in said
    assert "limits move once" in said
    assert opened(run) == (after, ())
    assert after != before
    assert len(sealed(run)) == 2
    assert frozen.read(run) == {}  # they were of the inputs that nobody can draw again


def test_a_prediction_has_no_secret_for_it_must_repeat(tmp_path: Path, double_task: Task) -> None:
    runs.begin(tmp_path / "run", Settings(target="h200", basis="predicted", pool="inline"), double_task)
    assert opened(tmp_path / "run") == (None, ())
    assert not (tmp_path / "run" / secret.FILE).exists()
    assert not sealed(tmp_path / "run")


class Listening(Court):
    """A court without a device that remembers the seeds it was told."""

    def start(self) -> None:
        self.seeds: list[int] = []
        self._device = Device("A Device", 90, 60 << 20, 132, 141 << 30, "2.11")

    def begin(self, task: Task, seed: int) -> None:
        self.seeds.append(seed)


def test_judges_of_a_run_begin_with_its_secret_and_others_with_their_own(
    double_task: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    courts: list[Listening] = []

    def court(*_: object, judges: int) -> Listening:
        courts.append(Listening(targets.find("h200")))
        return courts[-1]

    monkeypatch.setattr(pools, "Court", court)
    monkeypatch.setattr(pools.machine, "require", lambda *_: 0)
    monkeypatch.setattr(pools.gpus, "busy", lambda *_: None)
    monkeypatch.setattr(workers, "MeasuringRayPool", lambda task, settings, make: make(task, settings, True))
    settings = MEASURED.model_copy(update={"workers": 1})
    for judge in (
        measuring.inline(double_task, settings, 77),
        workers.make_pool(double_task, settings, 77),
        pools.one_judge(double_task, settings),  # a person asks: data of its own
        pools.one_judge(double_task, settings),
    ):
        if isinstance(judge, MeasuringJudge):
            assert judge.news() == {}  # its referee is gone, and that costs no verdict
        judge.close()
    inline, ray, one, other = [seed for c in courts for seed in c.seeds]
    assert (inline, ray) == (77, 77)
    assert len({inline, one, other}) == 3
