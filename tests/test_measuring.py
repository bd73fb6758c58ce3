"""Measured runs without a GPU: what auto means, pools around a judge of the test, archives, tables and words."""

import random
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from click.testing import CliRunner, Result

from archives import events
from archives.archive import Archive
from archives.candidate import Candidate, fingerprint
from archives.events import Judged, Measured, Proposed, Stopped
from archives.journal import Journal
from evo_kernel import api, display, export, gpus, machine, measurement, merging, pools, report, runs, stopping, verdict
from evo_kernel.cli import main
from evo_kernel.config import Settings
from evo_kernel.errors import RunError
from evo_kernel.gpu_actors import MeasureActor
from evo_kernel.measuring import MeasuringPool, make_builder
from evo_kernel.pools import Done
from evo_kernel.population import Population
from evo_kernel.search import Search
from evo_kernel.suite import drive
from fitness import build, targets, verification
from fitness.build import Built, Recorded, Refusal
from fitness.correctness import Limits
from fitness.evaluation import Basis, CaseResult, Comparison, Evaluation, Failure, Resources, Stage, unpack
from fitness.feedback import CUT, advice, feedback
from fitness.gpu import discover
from fitness.gpu.court import DeviceUnavailable, Hearing, Verified
from fitness.gpu.discover import Found
from fitness.gpu.machine_code import MachineCode
from fitness.jail import NoRoom, WorkerLost
from fitness.measure import UNSETTLED, MeasuringJudge
from fitness.passed import Pointer
from fitness.plan import Buffer, KernelSpec, Launch, LaunchPlan, Variant, View
from fitness.race import Times
from fitness.verification import Depth, Verifier
from suites import Case, Input, Task, edge, load
from suites import task as tasks

H200 = Found("NVIDIA H200", "cuda", 90, 0, targets.find("h200"), "0000:00:06.0")
KERNEL = Resources("double_kernel", 32, None, None, 0, 1024, 4, 8, 0, 4.0, "code")
WRONG = Failure(Stage.CORRECTNESS, "wrong", "element (3,) is 1.0, expected 2.0", "  line 7\n", "1M")


def measured(
    time_us: float, confirmed: bool = True, ratio: float | None = 0.5, program: str | None = None
) -> Evaluation:
    cases = tuple(
        CaseResult(name, time_us, 0.25, time_us / 2, "memory", (), time_us * 0.9, time_us * 1.2, 96)
        for name in ("1M", "1M-fp16")
    )
    against = () if ratio is None else (Comparison("baseline", ratio, ratio * 0.98, ratio * 1.02, 192),)
    return Evaluation(
        "h200", Basis.MEASURED, "namespaces", None, cases, (KERNEL,), program or f"p{time_us}",
        device="NVIDIA H200", confirmed=confirmed, against=against,
    )  # fmt: skip


def refused(failure: Failure = WRONG) -> Evaluation:
    return Evaluation("h200", Basis.MEASURED, "namespaces", failure, device="NVIDIA H200")


def predicted(time_us: float, width: float = 4.0) -> Evaluation:
    case = CaseResult("1M", time_us, 0.1, 0.1, "memory")
    kernel = replace(KERNEL, load_bytes=width)
    return Evaluation("h200", Basis.PREDICTED, "namespaces", None, (case,), (kernel,), f"p{time_us}")


def candidate(text: str, operator: str = "knob-step") -> Candidate:
    return Candidate(text, operator, text, (), fingerprint(text), "structure")


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(discover, "gpus", lambda: [H200])


@pytest.fixture
def no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(discover, "gpus", list)
    monkeypatch.setattr(discover, "complaint", lambda: None)


class TestWhatAutoMeans:
    @pytest.mark.parametrize(
        ("given", "target", "basis", "said"),
        [
            ({}, "h200", "measured", 0),
            ({"target": "h200"}, "h200", "measured", 0),
            ({"target": "mi300"}, "mi300", "predicted", 1),
            ({"basis": "predicted"}, "h200", "predicted", 0),
            ({"basis": "predicted", "target": "mi250"}, "mi250", "predicted", 0),
            ({"basis": "measured"}, "h200", "measured", 0),
        ],
    )
    def test_with_a_gpu(self, gpu: None, given: dict[str, str], target: str, basis: str, said: int) -> None:
        lines: list[str] = []
        settled = machine.resolve(Settings(**given), lines.append)
        assert (settled.target, settled.basis, len(lines)) == (target, basis, said)
        assert all("NVIDIA H200" in line and "mi300" in line for line in lines)

    def test_without_a_gpu_everything_is_as_it_always_was(self, no_gpu: None) -> None:
        lines: list[str] = []
        settled = machine.resolve(Settings(), lines.append)
        assert (settled.target, settled.basis, lines) == ("mi300", "predicted", [])

    def test_a_gpu_without_a_sheet_is_not_used(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(discover, "gpus", lambda: [replace(H200, name="Old GPU", arch=35, target=None)])
        lines: list[str] = []
        assert machine.resolve(Settings(), lines.append).basis == "predicted"
        assert "a chip without a sheet" in lines[0]

    def test_measuring_without_a_gpu_or_for_another_chip_is_one_line(
        self, gpu: None, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with pytest.raises(RunError, match=r"cannot measure for mi300: the GPU here is NVIDIA H200 .h200."):
            machine.resolve(Settings(basis="measured", target="mi300"))
        with pytest.raises(RunError, match="recorded only where a table is replayed"):
            machine.resolve(Settings(basis="recorded"))
        monkeypatch.setattr(discover, "gpus", list)
        with pytest.raises(RunError, match="measuring needs a GPU: this machine has none"):
            machine.resolve(Settings(basis="measured"))
        monkeypatch.setattr(discover, "complaint", lambda: "the CUDA driver does not start (X)")
        with pytest.raises(RunError, match="does not start"):
            machine.resolve(Settings(basis="measured"))

    def test_a_cluster_may_have_the_gpu_that_this_machine_lacks(self, no_gpu: None) -> None:
        settled = machine.resolve(Settings(basis="measured", target="h200", address="auto"))
        assert (settled.target, settled.basis) == ("h200", "measured")

    def test_a_run_does_not_begin_before_it_is_settled(self, tmp_path: Path, double_task: Task) -> None:
        with pytest.raises(ValueError, match="a target and a basis"):
            runs.begin(tmp_path / "run", Settings(), double_task)


class TestResuming:
    def test_a_measured_run_goes_on_only_where_its_device_is(
        self, no_gpu: None, tmp_path: Path, double_task: Task
    ) -> None:
        runs.begin(tmp_path / "run", Settings(target="h200", basis="measured"), double_task)
        with pytest.raises(RunError, match="measured on h200 and can only go on there"):
            api.reopened(tmp_path / "run", 30, {})
        assert runs.read(tmp_path / "run").search.generations == 20

    def test_a_predicted_run_stays_predicted_beside_a_gpu(self, gpu: None, tmp_path: Path, double_task: Task) -> None:
        runs.begin(tmp_path / "run", Settings(target="h200", basis="predicted"), double_task)
        assert api.reopened(tmp_path / "run", None, {}).basis == "predicted"

    def test_a_run_from_before_there_was_a_basis_is_predicted(
        self, gpu: None, tmp_path: Path, double_task: Task
    ) -> None:
        runs.begin(tmp_path / "run", Settings(target="h200", basis="predicted"), double_task)
        with Journal.read(tmp_path / "run") as journal:
            started, *others = journal.events()
        old = replace(started, settings={k: v for k, v in started.settings.items() if k != "basis"})
        assert runs.fold_events([old, *others], "old").settings.basis == "predicted"


class TestArchive:
    def test_the_best_is_the_fastest_that_was_confirmed(self) -> None:
        archive = Archive(Basis.MEASURED)
        assert archive.add(candidate("a"), measured(10.0))
        assert not archive.add(candidate("b"), measured(5.0, confirmed=False))
        assert archive.best == candidate("a").id
        assert [e.candidate.source for e in archive.ranked()] == ["b"]
        assert [e.candidate.source for e in archive.top(5)] == ["a"]
        archive.measure(candidate("b").id, measured(6.0))
        assert archive.best == candidate("b").id
        assert archive[archive.best].score_us == pytest.approx(6.0)

    def test_bases_are_never_mixed(self) -> None:
        with pytest.raises(ValueError, match="predicted verdict cannot join measured"):
            Archive(Basis.MEASURED).add(candidate("a"), predicted(1.0))
        search = Search(0, 4, 5)
        search.tell(Proposed(0, candidate("a", "seed")))
        with pytest.raises(ValueError, match="measured verdict cannot join predicted"):
            search.tell(Judged(0, measured(1.0)))
        with pytest.raises(ValueError, match="is no measurement"):
            search.archive.measure(candidate("a").id, predicted(1.0))

    def test_what_fails_on_the_device_is_no_elite_and_the_next_takes_its_cell(self) -> None:
        archive = Archive()
        for text, time_us in (("seed", 9.0), ("slow", 8.0), ("fast", 3.0)):
            archive.add(candidate(text), predicted(time_us))
        archive.measure(candidate("fast").id, refused())
        assert archive.best == candidate("slow").id
        assert [e.candidate.source for e in archive.ranked()] == ["slow"]
        archive.measure(candidate("slow").id, measured(4.0))
        assert archive[candidate("slow").id].score_us == pytest.approx(8.0)  # its prediction stays what it was

    def test_a_seed_that_fails_on_the_device_stops_the_run(self) -> None:
        search = Search(0, 4, 5)
        search.tell(Proposed(0, candidate("s", "seed")))
        search.tell(Judged(0, predicted(9.0)))
        search.tell(Measured(candidate("s").id, refused()))
        assert search.failed_seeds == [(candidate("s", "seed"), WRONG)]


def test_a_measured_event_comes_back_as_it_was_and_old_ones_are_read() -> None:
    event = Measured("0123", measured(3.0))
    assert events.decode(*events.encode(event)) == event
    kind, payload = events.encode(Judged(4, predicted(2.0)))
    old = payload.replace(bytes([0x93, events.FORMAT]), bytes([0x93, 1]), 1)
    assert old != payload
    assert events.decode(kind, old) == Judged(4, predicted(2.0))


def test_the_interval_of_a_score_is_narrower_than_its_cases() -> None:
    low, high = measured(10.0).interval_us
    assert 9.0 < low < 10.0 < high < 12.0
    assert predicted(1.0).interval_us is None


def made(source: str, case: Case) -> Built:
    """Return what a builder would have made of a source."""
    spec = KernelSpec("k", "k", (("p", "float32"),), (), (("num_warps", 4),), "module {}")
    launch = Launch((Variant(spec, (1, 1, 1)),), (("p", Pointer(0, 0)), ("n", 7)))
    plan = LaunchPlan(
        (Buffer(64, "float32", "x"), Buffer(64, "float32", None, 0.0)), (launch,), (View(1, 0, (16,), (1,), "float32"),)
    )
    code = MachineCode("k", b"\x7fELF", 128, 0, 1, False, (0, 0), (8, 4))
    one = Recorded(case, plan, plan)
    return Built(
        (one,),
        (replace(one, check=replace(plan, outputs=())),),
        {spec.digest: KERNEL},
        {spec.digest: code},
        source,
        "digest",
        ("a note",),
    )


def test_what_was_built_travels(double_task: Task) -> None:
    built = made("s", double_task.cases[0])
    assert build.unpack(build.pack(built)) == built


def test_what_cannot_be_unpacked_is_the_candidates_failure(double_task: Task) -> None:
    actor = MeasureActor(tasks.pack(double_task), Settings(target="h200").model_dump(), lambda *_: Judge())
    assert actor.ready()[0] == "ready"
    built = made("s", double_task.cases[0])
    assert unpack(actor.measure(build.pack(built), {})[1]).passed
    too_many = build.pack(replace(built, notes=("n",) * 70_000))
    for body in (too_many, b"\x81\x80\xc0", b"\xc0", b"\x92\x01\x02", build.pack(built)[:-3]):
        state, verdict, *_ = actor.measure(body, {})
        failure = unpack(verdict).failure
        assert (state, failure and failure.kind) == ("judged", "malformed")


class Builder:
    """Builds in the time that the source says; `bad` is refused, `lost` loses its jail."""

    pid = None

    def __init__(self) -> None:
        self.closed = False

    def build(self, source: str, cases: tuple[Case, ...], edges: tuple[Case, ...]) -> Built:
        assert edges == ()
        assert threading.current_thread() is not threading.main_thread()
        time.sleep(0.05)
        if source == "bad":
            raise Refusal(Failure(Stage.STATIC, "syntax", "line 1"))
        if source == "bug":
            raise ZeroDivisionError
        if source == "lost":
            raise WorkerLost("killed by a test")
        if source == "no room":
            raise NoRoom("0 KiB")
        return made(source, cases[0])

    def close(self) -> None:
        self.closed = True


class Judge:
    """Measures what it is given, in the thread that made it; `gone` takes the device away."""

    edges = ()

    def __init__(self) -> None:
        self.seen: list[tuple[str, dict[str, str]]] = []
        self.closed = False

    def measure(self, built: Built, against: Mapping[str, str], confirm: bool | None = None) -> Evaluation:
        assert threading.current_thread() is threading.main_thread()
        self.seen.append((built.program, dict(against)))
        if built.program == "no room there":
            raise NoRoom("0 KiB there")
        if built.program == "gone":
            raise DeviceUnavailable("it fell off the bus")
        return measured(5.0)

    def news(self) -> Limits:
        return {f"full size a/base/{len(self.seen)}": (0.5, float(len(self.seen)))}

    def refusal(self, failure: Failure) -> Evaluation:
        return refused(failure)

    def pids(self) -> list[int]:
        return []

    def close(self) -> None:
        self.closed = True


def collect(pool: MeasuringPool, count: int) -> dict[int, Done]:
    done: dict[int, Done] = {}
    deadline = time.monotonic() + 200
    while len(done) < count and time.monotonic() < deadline:
        done |= {d.ticket: d for d in pool.wait(0.5, {"baseline": "seed"})}
    return done


class TestMeasuringPool:
    def test_builders_work_ahead_while_one_program_is_measured(self, double_task: Task) -> None:
        judge, builders, threads = Judge(), [Builder(), Builder()], threading.active_count()
        pool = MeasuringPool(double_task, judge, builders)
        assert pool.free() == 3
        for ticket, source in enumerate(("good", "bad", "lost")):
            pool.submit(ticket, source)
        assert pool.free() == 0
        done = collect(pool, 3)
        assert pool.free() == 3
        assert done[0].evaluation == measured(5.0)
        assert done[1].evaluation is not None
        assert done[1].evaluation.failure == Failure(Stage.STATIC, "syntax", "line 1")
        assert (done[2].evaluation, done[2].lost) == (None, "killed by a test")
        assert judge.seen == [("good", {"baseline": "seed"})]
        assert all(d.seconds >= 0.04 for d in done.values())
        assert 0 < done[0].gpu_seconds < done[0].seconds
        assert done[1].gpu_seconds == done[2].gpu_seconds == 0
        assert done[0].limits == {"full size a/base/1": (0.5, 1.0)}  # what the judge computed for it, to be held
        pool.close()
        assert judge.closed
        assert all(b.closed for b in builders)
        assert threading.active_count() == threads

    def test_where_a_builder_or_the_judge_has_no_room_is_said_of_what_is_lost(self, double_task: Task) -> None:
        pool = MeasuringPool(double_task, Judge(), [Builder(), Builder()])
        for ticket, source in enumerate(("lost", "no room", "no room there")):
            pool.submit(ticket, source)
        done = collect(pool, 3)
        assert [(done[n].lost, done[n].full) for n in range(3)] == [
            ("killed by a test", False), ("0 KiB", True), ("0 KiB there", True),
        ]  # fmt: skip
        pool.close()

    def test_a_bug_in_a_builder_stops_the_run_instead_of_hanging_it(self, double_task: Task) -> None:
        pool = MeasuringPool(double_task, Judge(), [Builder()])
        pool.submit(0, "bug")
        with pytest.raises(ZeroDivisionError):
            collect(pool, 1)
        pool.close()

    def test_nothing_is_waited_for_when_nothing_flies(self, double_task: Task) -> None:
        pool = MeasuringPool(double_task, Judge(), [Builder()])
        started = time.monotonic()
        assert pool.wait(60.0) == []
        assert time.monotonic() - started < 30
        pool.close()

    def test_real_builders_build_and_closing_in_the_middle_leaves_no_process(self, one_case_task: Task) -> None:
        settings = Settings(target="h200", basis="measured")
        pool = MeasuringPool(one_case_task, Judge(), [make_builder(one_case_task, settings) for _ in range(2)])
        source = one_case_task.seeds[0].source
        pool.submit(0, source)
        assert collect(pool, 1)[0].evaluation == measured(5.0)
        for ticket in (1, 2, 3):
            pool.submit(ticket, source.replace("BLOCK=128", f"BLOCK={128 << ticket}"))
        pids = pool.pids()
        assert len(pids) == 2
        time.sleep(0.1)  # into the record jobs
        pool.close()
        assert not any(Path(f"/proc/{pid}").exists() for pid in pids)

    def test_a_program_is_measured_beside_the_best_of_then_not_of_when_it_was_submitted(
        self, double_task: Task
    ) -> None:
        judge = Judge()
        pool = MeasuringPool(double_task, judge, [Builder(), Builder()])
        for ticket in (0, 1):
            pool.submit(ticket, "good")
        time.sleep(0.2)
        assert len(pool.wait(60.0, {"baseline": "seed"})) == 1
        assert len(pool.wait(60.0, {"baseline": "seed", "incumbent": "best"})) == 1
        assert [sorted(against) for _, against in judge.seen] == [["baseline"], ["baseline", "incumbent"]]
        pool.close()

    def test_waiting_for_nothing_takes_no_core(self, double_task: Task) -> None:
        pool = MeasuringPool(double_task, Judge(), [Builder()])
        began = time.monotonic()
        assert pool.wait(0.5) == []
        assert time.monotonic() - began > 0.02
        pool.close()

    def test_a_device_that_goes_away_ends_the_run_in_one_line(self, double_task: Task) -> None:
        pool = MeasuringPool(double_task, Judge(), [Builder()])
        pool.submit(0, "gone")
        with pytest.raises(RunError, match="it fell off the bus; resume when it can"):
            collect(pool, 1)
        pool.close()


class RivalPool:
    """Gives the times of a list, and remembers what each program was timed beside."""

    def __init__(self, times: Sequence[Evaluation]) -> None:
        self.times, self.against, self.tickets = list(times), [], []

    def free(self) -> int:
        return 1 - len(self.tickets)

    def submit(self, ticket: int, source: str) -> None:
        self.tickets.append(ticket)

    def wait(self, seconds: float, against: Mapping[str, str] | None = None) -> list[Done]:
        self.against += [dict(against or {})] * len(self.tickets)
        return [Done(self.tickets.pop(), self.times.pop(0), 0.0)] if self.tickets else []

    def close(self) -> None:
        self.tickets.clear()


@pytest.fixture
def finished(tmp_path: Path, double_task: Task) -> Path:
    """Return a measured run: the seed, a screened program that looks faster, and a confirmed one that is."""
    settings = Settings(target="h200", basis="measured", generations=1, population=3, pool="inline")
    runs.begin(tmp_path / "run", settings, double_task)
    pool = RivalPool([measured(10.0, ratio=None), measured(4.0, confirmed=False, ratio=0.9), measured(5.0), refused()])
    population = Population(tmp_path / "run", lambda *_: pool)
    try:
        while not (progress := population.advance()).done:
            pass
    finally:
        population.close()
    seed = double_task.seeds[0].source
    assert pool.against[:3] == [{}, {"baseline": seed}, {"baseline": seed}]
    best = population.search.archive[population.search.archive.best]
    assert pool.against[3] == {"baseline": seed, "incumbent": best.candidate.source}
    assert (progress.basis, progress.best_us, progress.gain) == ("measured", pytest.approx(5.0), pytest.approx(2.0))
    assert "5.00 us [" in display.line(progress, 1.0)
    assert "] measured (2.00x the seed)" in display.line(progress, 1.0)
    return tmp_path / "run"


def test_a_seed_whose_clock_did_not_settle_is_measured_again_and_then_the_run_stops_and_can_be_resumed(
    tmp_path: Path, double_task: Task, caplog: pytest.LogCaptureFixture
) -> None:
    settings = Settings(target="h200", basis="measured", generations=1, population=1, pool="inline")
    runs.begin(tmp_path / "run", settings, double_task)
    unsure = replace(measured(10.0, confirmed=False, ratio=None), notes=(UNSETTLED,))
    population = Population(tmp_path / "run", lambda *_: RivalPool([unsure, unsure]))
    population.advance()
    assert "the seed is measured again: the device's clocks did not settle" in caplog.text
    with pytest.raises(RunError, match=r"clocks did not settle.*resume it later"):
        population.advance()
    population.close()
    pool = RivalPool([unsure, measured(10.0, ratio=None), measured(5.0)])
    population = Population(tmp_path / "run", lambda *_: pool)
    while not population.advance().done:
        assert pool.times
    population.close()
    archive = population.search.archive
    assert [archive[i].score_us for i in archive.history] == pytest.approx([10.0, 5.0])


def test_a_run_whose_only_seed_was_never_confirmed_says_so_in_place_of_waiting_for_ever(
    tmp_path: Path, double_task: Task
) -> None:
    settings = Settings(target="h200", basis="measured", generations=1, population=1, pool="inline")
    runs.begin(tmp_path / "run", settings, double_task)
    with Journal.append_to(tmp_path / "run") as journal:  # as a version before this one left it
        journal.append(Judged(0, measured(10.0, confirmed=False, ratio=None)), 0.0)
    with pytest.raises(RunError, match="no seed of this run was confirmed"):
        Population(tmp_path / "run", lambda *_: RivalPool([]))


def test_a_process_in_which_the_clocks_moved_makes_room_for_another(monkeypatch: pytest.MonkeyPatch) -> None:
    judge = MeasuringJudge.__new__(MeasuringJudge)
    court = SimpleNamespace(drop_bench=lambda: dropped.append(1))
    verifier = SimpleNamespace(forget=lambda built: None, verify=lambda built, depth: ())
    vars(judge).update(_court=court, _verifier=verifier)

    def confirmed(settled: Sequence[bool]) -> list[float]:
        parts = [[Times([float(n)], {}, ok), Times([float(n)], {}, True)] for n, ok in enumerate(settled)]
        monkeypatch.setattr("fitness.race.run", lambda *_, **__: parts.pop(0))
        dropped.clear()
        _, found = judge._confirm(None, {}, Depth.THOROUGH)  # type: ignore[arg-type]
        assert not parts
        assert len(dropped) == len(settled)
        return [part[0].own[0] for part in found]

    dropped: list[int] = []
    assert confirmed([True] * 3) == [0.0, 1.0, 2.0]
    assert confirmed([True, False, True, True]) == [0.0, 2.0, 3.0]
    assert confirmed([False, True, False, True, False, False]) == [1.0, 3.0, 0.0]  # as many as there are spare ones


def test_equal_code_of_another_text_is_verified_as_its_own(double_task: Task) -> None:
    """As after `resume`, where the best is built again as a rival alone, and then a twin of it comes."""

    def verify(hearings: Sequence[Hearing]) -> list[Verified]:
        asked.append(len(hearings))
        return [Verified(0.5, 12.5) for _ in hearings]

    asked: list[int] = []
    court = SimpleNamespace(trials=lambda name: ["base", "influence"], verify=verify)
    verifier = Verifier(double_task, court, random.Random(1))  # type: ignore[arg-type]
    first = made("equal", double_task.cases[0])
    spec = first.recorded[0].full.launches[0].variants[0].kernel
    other = replace(spec, ttir="module { }")
    launch = Launch((Variant(other, (1, 1, 1)),), first.recorded[0].full.launches[0].arguments)
    plan = replace(first.recorded[0].full, launches=(launch,))
    twin = replace(
        first, recorded=(Recorded(double_task.cases[0], plan, plan),), edges=(), source="another text",
        figures={other.digest: KERNEL}, code={other.digest: first.code[spec.digest]},
    )  # fmt: skip
    for built in (first, twin):
        found = verifier.verify(built, Depth.SCREENED)
        assert {d for one in found for d in one.program.digests} <= set(built.figures)
        assert verifier.known(built.source) == found
    assert verifier.verify(twin, Depth.SCREENED) is found
    assert len(asked) == 2


def test_an_edge_whose_results_are_huge_is_not_for_every_program(double_task: Task) -> None:
    few = {"x": Input((16,), "float16")}
    task = replace(double_task, edges=(edge("results", few, bytes=2**33), edge("few", few)))
    assert [e.name for e in verification.edges(task)] == ["few"]
    assert verification.huge_names(task) == ("results",)
    assert [e.name for e in verification.huge(task, 2**35)] == ["results"]
    assert verification.huge(task, 2**34) == ()


class Answers:
    """A judge for a person: gives the answers of a list, and remembers what it was asked."""

    seconds: Mapping[str, float] = {}

    def __init__(self, answers: Sequence[Evaluation]) -> None:
        self.answers, self.asked = list(answers), []

    def judge(
        self, source: str, cases: object, against: Mapping[str, str] | None = None, confirm: bool | None = None
    ) -> Evaluation:
        self.asked.append((source, dict(against or {}), confirm))
        return self.answers.pop(0)

    def close(self) -> None:
        """Hold nothing."""


class TestTheEndOfASearch:
    @pytest.fixture
    def huge_run(self, tmp_path: Path, double_task: Task) -> Path:
        """Return a measured run of three confirmed programs, whose task has an edge that only its end runs."""
        task = replace(double_task, edges=(edge("huge", {"x": Input((2**31 + 3,), "float16")}),))
        runs.begin(tmp_path / "run", Settings(target="h200", basis="measured", pool="inline"), task)
        with Journal.append_to(tmp_path / "run") as journal:
            journal.append(Judged(0, measured(10.0, ratio=None)))
            for number, (text, time_us) in enumerate((("a", 4.0), ("b", 5.0)), 1):
                journal.append(Proposed(number, candidate(text)))
                journal.append(Judged(number, measured(time_us)))
        return tmp_path / "run"

    def test_who_fails_on_a_huge_edge_is_no_best_and_the_next_is_run(
        self, huge_run: Path, double_task: Task, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        before = report.text(runs.read(huge_run))
        assert "best so far: " + candidate("a").id in before
        assert "not run on its huge edges (huge): `evo-kernel measure RUN` does that" in before
        judge, said = Answers([refused(), replace(measured(5.5), notes=("edge not run: other needs more",))]), []
        monkeypatch.setattr(measurement, "make_measuring_judge", lambda *_: judge)
        measurement.confirm_best(huge_run, said.append)
        seed = {"baseline": double_task.seeds[0].source}
        assert judge.asked == [("a", seed, True), ("b", seed, True)]
        assert ["FAILED" in line for line in said] == [True, False]
        state = runs.read(huge_run)
        assert state.search.archive.best == candidate("b").id
        assert report.summary(state)["not_run"] == ["edge not run: other needs more"]
        measurement.confirm_best(huge_run, said.append)  # nothing is left to run
        assert len(judge.asked) == 2

    def test_time_that_is_spent_and_a_gpu_that_is_elsewhere_leave_it_said(
        self, huge_run: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def elsewhere(*_: object) -> Answers:
            raise RunError("no GPU here")

        said: list[str] = []
        monkeypatch.setattr(measurement, "make_measuring_judge", elsewhere)
        measurement.confirm_best(huge_run, said.append)
        assert said == ["huge edges were not run: no GPU here"]
        with Journal.append_to(huge_run) as journal:
            journal.append(Stopped(stopping.WALL_TIME))
        measurement.confirm_best(huge_run, said.append)
        assert len(said) == 1
        assert report.summary(runs.read(huge_run))["not_run"]

    def test_an_exported_file_says_which_edges_its_program_never_ran_on(self, huge_run: Path) -> None:
        state = runs.read(huge_run)
        (best,) = state.search.archive.top(1)
        assert "on every edge of the task and, unseen" in export._header(best, measured(4.0), state, huge_run)
        left = replace(measured(4.0), notes=("edge not run: huge needs more memory than this device had for it",))
        assert "# edge not run: huge needs more memory" in export._header(best, left, state, huge_run)
        guessed = replace(best, evaluation=predicted(4.0))
        assert "# edge not run: huge: only a program measured" in export._header(
            guessed, predicted(4.0), state, huge_run
        )


class TestWhatIsShown:
    def test_measured_times_are_shown_as_measured_with_device_and_interval(self, finished: Path) -> None:
        text = report.text(runs.read(finished))
        assert "predicted" not in text
        assert "measured 5.00 us [" in text
        assert "confirmed on NVIDIA H200 (geometric mean, 2.00x the seed's 10.00)" in text
        assert "(screened)" in text

    def test_json_names_every_time_by_its_basis(self, finished: Path) -> None:
        summary = report.summary(runs.read(finished))
        assert (summary["basis"], summary["seed_measured_us"], summary["gain_over_seed"]) == (
            "measured", pytest.approx(10.0), pytest.approx(2.0),
        )  # fmt: skip
        best = summary["best"]
        assert (best["device"], best["confirmed"], best["mode"]) == ("NVIDIA H200", True, "sealed")
        assert best["cases"][0]["interval_us"] == [pytest.approx(4.5), pytest.approx(6.0)]
        assert "predicted_us" not in str(summary)

    def test_what_was_measured_afterwards_stands_apart_from_predictions(
        self, tmp_path: Path, double_task: Task
    ) -> None:
        runs.begin(tmp_path / "run", Settings(target="h200", basis="predicted"), double_task)
        with Journal.append_to(tmp_path / "run") as journal:
            journal.append(Judged(0, predicted(9.0)))
            for number, (text, time_us, width) in enumerate((("a", 4.0, 8.0), ("b", 3.0, 16.0)), 1):
                journal.append(Proposed(number, candidate(text)))
                journal.append(Judged(number, predicted(time_us, width)))
            journal.append(Measured(candidate("a").id, measured(5.0)))
            journal.append(Measured(candidate("b").id, refused()))
        state = runs.read(tmp_path / "run")
        assert [e.candidate.source for e in state.search.archive.ranked()][:1] == ["a"]
        before, after = report.text(state).split("measured afterwards:")
        assert "measured" not in before
        assert "predicted" not in after
        assert "FAILED on NVIDIA H200 at correctness (wrong)" in after
        header = export._header(state.search.archive.top(1)[0], predicted(1.0), state, tmp_path)
        assert "PREDICTED" in header
        assert "MEASURED on NVIDIA H200" in header
        runs.begin(tmp_path / "other", Settings(target="h200", basis="predicted"), double_task)
        merged = merging.merge(tmp_path / "run", tmp_path / "other", tmp_path / "both")
        assert set(merged.search.archive.measured) == {candidate("a").id, candidate("b").id}

    def test_the_table_gives_times_with_intervals_roofline_and_ratio(self) -> None:
        table = measurement.table(
            [("a" * 16, measured(8.0)), ("b" * 16, refused()), ("c" * 16, measured(16.0, ratio=None))]
        )
        assert "8.00  [7.20, 9.60]" in table
        assert "50%" in table
        assert "0.500 [0.490, 0.510]" in table
        assert "bbbbbbbb  FAILED on NVIDIA H200 at correctness (wrong): element (3,) is 1.0" in table
        assert "it is the seed" in table
        assert "predicted" not in table

    def test_an_exported_header_says_how_it_was_measured_and_how_to_verify(self, finished: Path) -> None:
        state = runs.read(finished)
        header = export._header(state.search.archive.top(1)[0], measured(7.0), state, finished)
        for words in (
            "MEASURED on NVIDIA H200", "confirmed in fresh processes", "[95% intervals]", "1M: 5.00 [4.50, 6.00]",
            "2.000x the baseline's speed", "mode sealed, isolation namespaces", "--target h200 --basis measured --held-out",
        ):  # fmt: skip
            assert words in header
        assert "PREDICTED" not in header

    def test_an_exported_header_names_a_task_by_what_finds_it_again(self, finished: Path) -> None:
        state = runs.read(finished)
        entry, found = state.search.archive.top(1)[0], measured(7.0)

        def named(task: Task) -> str:
            return export._header(entry, found, replace(state, task=task), finished)

        native = load("softmax")
        assert "--task softmax --target" in named(native)
        assert "--task FILE_OF_TASK_softmax.py --target" in named(replace(state.task, name="softmax"))
        assert "--task suite/softmax --root CHECKOUT --target" in named(replace(state.task, name="suite/softmax"))

    def test_an_exported_header_says_that_block_pointers_need_an_older_triton(self, finished: Path) -> None:
        state = runs.read(finished)
        entry = state.search.archive.top(1)[0]
        for text, told in (
            ("import triton.language as tl\n\np = tl.make_block_ptr(x)", True),
            ("from triton.language import make_block_ptr\n", True),
            ("x = 1  # no make_block_ptr", False),
        ):
            header = export._header(replace(entry, candidate=candidate(text)), measured(7.0), state, finished)
            assert ("# Needs a Triton before 3.9, which has no block pointers any more." in header) is told, text


class TestFeedback:
    def test_a_refusal_says_where_why_what_to_do_and_the_line(self) -> None:
        said = feedback(refused())
        assert said.startswith("FAILED at correctness (wrong), case 1M: element (3,)")
        assert f"what to do: {advice(WRONG)}" in said
        assert said.endswith("its own lines:\n  line 7")

    def test_a_pass_says_times_rivals_registers_roofline_and_bytes(self, double_task: Task) -> None:
        said = feedback(measured(10.0), task=double_task)
        for words in ("measured 10.00 us [", "on NVIDIA H200", "50% of the roofline", "32 registers a lane, 0 spilled",
                      "8 waves a scheduler", "2.000x the baseline's speed", "8.4 MB at 839 GB/s"):  # fmt: skip
            assert words in said
        assert "predicted 3.00 us on h200" in feedback(predicted(3.0))
        assert "not confirmed" in feedback(measured(1.0, confirmed=False))

    @pytest.mark.parametrize("limit", [0, 5, 200, 1000])
    def test_it_never_exceeds_its_limit_and_keeps_both_ends(self, limit: int) -> None:
        long = refused(replace(WRONG, trace="first\n" + "x" * 9000 + "\nlast"))
        said = feedback(long, limit)
        assert len(said) <= limit
        if limit >= 200:
            assert said.startswith("FAILED at correctness")
            assert CUT in said
            assert said.endswith("last")

    def test_a_verdict_is_told_gate_by_gate(self, double_task: Task) -> None:
        cases, seconds = double_task.cases, {"record": 0.5, "timing": 3.0, "confirmation": 2.0}
        gates = {g.name: g for g in verdict.gates(double_task, cases, measured(10.0), seconds)}
        assert list(gates) == ["static", "import", "record", "compile", "correctness", "timing", "confirmation"]
        assert {g.state for g in gates.values()} == {"ok"}
        assert (gates["timing"].seconds, gates["confirmation"].seconds) == (1.0, 2.0)
        assert "influence" in gates["correctness"].found
        assert "0.25 of the limit" in gates["correctness"].found
        gates = {g.name: g for g in verdict.gates(double_task, cases, refused(), seconds)}
        assert [g.state for g in gates.values()] == ["ok"] * 4 + ["FAILED", "-", "-"]
        assert gates["timing"].found == "not reached"
        plain = verdict.plain(double_task, cases, refused(), seconds)
        assert (plain["passed"], plain["failure"]["advice"]) == (False, advice(WRONG))
        text = verdict.text("program", double_task, cases, measured(10.0), seconds)
        assert "sealed, isolation namespaces, target h200, device NVIDIA H200" in text

    def test_held_out_cases_stand_apart_from_the_score(self, double_task: Task) -> None:
        own = measured(10.0)
        found = replace(
            own, cases=(*own.cases, replace(own.cases[0], case="odd", time_us=0.01, low_us=0.01, high_us=0.01))
        )
        cases = (*double_task.cases, *double_task.held_out)
        text = verdict.text("program", double_task, cases, found, {})
        assert text.splitlines()[0].startswith("program: passed; measured 10.00 us [")
        assert text.splitlines()[0].endswith("(geometric mean of 2 cases)")
        assert "speed [1.961, 2.041], timed beside it in 192 pairs, held-out cases too" in text
        assert "  held out: measured 0.01 us [0.01, 0.01] on NVIDIA H200 (geometric mean of 1 case)\n  odd " in text
        gates = {g.name: g.found for g in verdict.gates(double_task, cases, found, {})}
        assert gates["timing"].startswith("measured 10.00 us")
        plain = verdict.plain(double_task, cases, found, {})
        assert (plain["measured_us"], plain["interval_us"]) == (own.score_us, own.interval_us)
        assert [c["case"] for c in plain["cases"]] == ["1M", "1M-fp16", "odd"]
        assert (plain["held_out"]["cases"], plain["held_out"]["measured_us"]) == (["odd"], pytest.approx(0.01))
        assert plain["held_out"]["in_against"]
        assert verdict.plain(double_task, double_task.cases, own, {})["held_out"] is None
        assert "held" not in verdict.text("program", double_task, double_task.cases, own, {})


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(a) for a in arguments])


class TestCommandsWithoutTheDevice:
    def test_measuring_commands_say_in_one_line_that_there_is_no_gpu(
        self, no_gpu: None, finished: Path, tmp_path: Path, double_task: Task
    ) -> None:
        file = tmp_path / "double.py"
        file.write_text(double_task.source)
        for result in (
            run("search", file, "--basis", "measured", "--run", tmp_path / "r"),
            run("judge", file, "--task", file, "--basis", "measured"),
            run("measure", finished),
            run("export", finished),
            run("resume", finished),
            run("doctor", "--calibrate"),
        ):
            assert result.exit_code == 1, result.output
            assert "Traceback" not in result.output
            assert len(result.output.strip().splitlines()) == 1
            assert "GPU: this machine has none" in result.output
        assert not (tmp_path / "r").exists()

    def test_predicting_is_advised_only_where_that_can_be_asked_for(
        self, no_gpu: None, finished: Path, tmp_path: Path
    ) -> None:
        asked = run("search", "softmax", "--basis", "measured", "--target", "h200", "--run", tmp_path / "r").output
        assert "use --basis predicted, or a machine with a GPU of target h200" in asked
        for command in ("measure", "resume"):
            said = run(command, finished).output
            assert "this machine has none; use a machine with a GPU of target h200" in said
            assert "--basis" not in said

    def test_a_target_that_is_not_this_device_is_one_line(self, gpu: None, finished: Path, tmp_path: Path) -> None:
        result = run("search", "softmax", "--basis", "measured", "--target", "mi300", "--run", tmp_path / "r")
        assert result.exit_code == 1
        assert "cannot measure for mi300: the GPU here is NVIDIA H200 (h200)" in result.output

    def test_a_measured_run_is_shown_and_watched_anywhere(self, no_gpu: None, finished: Path) -> None:
        assert "measured 5.00 us" in run("show", finished).stdout
        assert "best 5.00 us measured" in run("watch", finished).stdout

    def test_a_gpu_in_use_by_somebody_else_is_one_line(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        tool = tmp_path / "nvidia-smi"
        tool.write_text("#!/bin/sh\necho 570.1, 300, 143771\necho 570.1, 90000, 143771\n")
        tool.chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
        assert gpus.busy(0, "cuda") is None
        assert gpus.busy(1, "cuda", judges=4) is None  # so much may judges of the same run hold beside it
        said = gpus.busy(1, "cuda")
        assert (
            said
            == "GPU 1 is in use by somebody else (driver 570.1, 87.9 of 140 GiB in use): measured times will be disturbed"
        )
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
        assert gpus.busy(0, "cuda") is not None

    @pytest.mark.parametrize(("pool", "index", "there"), [("inline", None, 4), ("ray", None, 1), ("ray", 0, 1)])
    def test_judges_of_the_same_run_are_nobody_else(
        self, double_task: Task, monkeypatch: pytest.MonkeyPatch, pool: str, index: int | None, there: int
    ) -> None:
        asked: list[int] = []
        monkeypatch.setattr(gpus, "busy", lambda place, backend, judges: asked.append(judges))
        monkeypatch.setattr(machine, "require", lambda target: 0)
        monkeypatch.setattr(pools, "MeasuringJudge", lambda *given, **_: given)
        settings = Settings(target="h200", basis="measured", pool=pool, judges=4)
        pools.make_measuring_judge(double_task, settings, index, None if index is None else settings.judges)
        assert asked == [there]  # the first on its GPU asks in the Ray pool, where nobody of ours is yet

    def test_doctor_says_what_a_gpu_was_measured_to_do(
        self, gpu: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
        found = {f.topic: f.detail for f in gpus.findings()}
        assert "NVIDIA H200 (target h200)" in found["gpu"]
        assert "doctor --calibrate" in found["calibration"]
        from fitness.gpu.calibration import Calibration

        Calibration("NVIDIA H200", targets.find("h200"), True, 0.004, 0.02, 4100.0, {"float16": 700.0}).store()
        found = {f.topic: f.detail for f in gpus.findings()}
        assert "within 0.40%" in found["calibration"]
        assert "float16 700 TFLOP/s" in found["calibration"]


def test_searches_of_a_suite_are_dealt_out_to_all_gpus_and_share_the_memory_of_each(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    others = [replace(H200, name="Old GPU", arch=35, target=None), replace(H200, index=1), replace(H200, index=2)]
    monkeypatch.setattr(discover, "gpus", lambda: others)
    found = []
    for number in range(4):
        with machine.dealt(number):
            found.append(machine.require("h200"))
    assert found == [1, 2, 1, 2]
    assert machine.require("h200") == 1
    asked = Settings(target="h200", basis="measured", pool="inline")
    monkeypatch.setattr("os.cpu_count", lambda: 32)
    assert drive.shared(asked, 7).judges == 4
    assert drive.shared(asked, 7).workers == 4, "all searches together have as many builders as there are cores"
    assert drive.shared(asked, 32).workers == 2
    assert drive.shared(asked.model_copy(update={"workers": 9}), 7).workers == 9
    assert drive.shared(asked.model_copy(update={"judges": 9}), 7).judges == 9
    assert drive.shared(asked.model_copy(update={"basis": "predicted"}), 7) == asked.model_copy(
        update={"basis": "predicted"}
    )
    assert 1 <= drive.usual({"target": "h200", "basis": "measured"}) <= 2 * drive.SHARING
    assert drive.usual({"target": "mi300", "basis": "measured"}) >= 1  # a cluster has them
