"""The pure search, the archive and the loop around them, with programs judged by a formula."""

import gc
import random
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from archives import selection
from archives.archive import Archive
from archives.candidate import Candidate, digest, fingerprint
from archives.events import Asked, Extended, Judged, Proposed, Refused, Started
from archives.journal import Journal
from evo_kernel import merging, report, runs, stopping
from evo_kernel.config import Settings
from evo_kernel.errors import RunError, SeedFailed, Unsettled
from evo_kernel.pools import Done
from evo_kernel.population import Population
from evo_kernel.rules import Rules
from evo_kernel.search import EXHAUSTED, Search
from fitness.evaluation import Basis, CaseResult, Evaluation, Failure, Resources, Stage
from operators import catalogue
from operators.proposal import Context, Proposal, ProposalError
from suites import Task


def settled(**values: object) -> Settings:
    """Return settings as a run begins with them."""
    usual = {"operators": ("knob-step", "knob-cross"), "fallback": True}
    return Settings(target="mi300", basis="predicted", **{**usual, **values})


def verdict(time_us: float, width: float = 4.0, program: str | None = None, second: float = 1.0) -> Evaluation:
    cases = (CaseResult("a", time_us, 0.1, 0.1, "memory"), CaseResult("b", time_us * second, 0.1, 0.1, "memory"))
    kernels = (Resources("k", 32, 30, 0, 0, 0, 4, 8, 0, width, "code"),)
    return Evaluation(
        "mi300", Basis.PREDICTED, "process", None, cases, kernels, program or digest(repr((time_us, width)))
    )


def failure(stage: Stage = Stage.COMPILE) -> Evaluation:
    return Evaluation("mi300", Basis.PREDICTED, "process", Failure(stage, "kind", "message"))


def candidate(text: str, operator: str = "knob-step", parents: tuple[str, ...] = ()) -> Candidate:
    return Candidate(text, operator, text, parents, fingerprint(text), "structure")


def test_a_search_without_a_seed_has_models_write_its_first_program_and_repair_it() -> None:
    search = Search(0, 4, 5)
    assert search.ask(1) == ()
    (first,) = search.ask(1, ("m",))
    assert (first.operator, first.model, first.parents) == ("generate", "m", ())
    search.tell(Asked(first.number, "generate", "m", ()))
    broken = candidate("broken = 1", "generate")
    search.tell(Proposed(first.number, broken))
    search.tell(Judged(first.number, failure()))
    asked = {(r.operator, r.parents) for r in (search.ask(1, ("m",))[0] for _ in range(12))}
    assert asked == {("generate", ()), ("reflect", (broken,))}


def begun(policy: str = "archive", rules: Rules | None = None, **options: int) -> Search:
    """Return a search whose seed has passed at 100 us."""
    search = Search(0, options.get("population", 4), options.get("generations", 5), policy, rules)
    search.tell(Proposed(0, candidate("seed = 1", "seed")))
    search.tell(Judged(0, verdict(100.0)))
    return search


class TestAskAndTell:
    def test_nothing_is_asked_before_a_seed_has_passed(self) -> None:
        search = Search(0, 4, 5)
        assert search.ask(3) == ()
        search.tell(Proposed(0, candidate("seed = 1", "seed")))
        assert search.ask(3) == ()

    def test_the_same_state_asks_the_same(self) -> None:
        assert begun().ask(3) == begun().ask(3)

    def test_the_bandit_chooses_where_models_are_named_and_owes_them_nothing_at_the_end(self) -> None:
        asked = {}
        for settings in (settled(models=("command:cat",)), settled(models=("command:cat",), bandit=False)):
            search = begun(rules=settings.rules)
            for number in range(1, 18):
                search.tell(Proposed(number, candidate(f"x = {number}")))
                search.tell(Judged(number, verdict(100.0 - number)))
            asked[settings.bandit] = {bool(search.ask(1, ("command:cat",))[0].model) for _ in range(30)}
        assert asked == {True: {True, False}, False: {True}}
        assert not settled().bandit

    def test_no_more_is_asked_than_the_budget_allows(self) -> None:
        search = begun(population=2, generations=2)
        assert len(search.ask(100)) == 4

    def test_an_unanswered_request_is_asked_again_after_replay(self) -> None:
        search = begun()
        first, second = search.ask(2)
        told = Proposed(second.number, candidate("x = 2"))
        search.tell(told)
        again = begun()
        again.tell(told)
        assert again.ask(1)[0] == first

    def test_a_verdict_told_twice_is_refused(self) -> None:
        search = begun()
        request = search.ask(1)[0]
        search.tell(Proposed(request.number, candidate("x = 2")))
        search.tell(Judged(request.number, verdict(50.0)))
        with pytest.raises(ValueError, match="told twice"):
            search.tell(Judged(request.number, verdict(50.0)))

    def test_seeds_cost_no_budget_and_failures_do(self) -> None:
        search = begun()
        assert search.evaluations == 0
        request = search.ask(1)[0]
        search.tell(Proposed(request.number, candidate("x = 2")))
        search.tell(Judged(request.number, failure()))
        assert search.evaluations == 1
        assert search.archive.failures == {"compile": 1}

    def test_a_dry_well_ends_the_search(self) -> None:
        search = begun()
        for _ in range(EXHAUSTED):
            request = search.ask(1)[0]
            search.tell(Refused(request.number, request.operator, (), "nothing new"))
        assert search.exhausted
        assert search.done
        search.tell(Extended(6))
        assert not search.done

    def test_best_of_n_steps_from_the_seed_alone(self) -> None:
        search = begun("best-of-n")
        request = search.ask(1)[0]
        search.tell(Proposed(request.number, candidate("x = 2")))
        search.tell(Judged(request.number, verdict(10.0)))
        requests = search.ask(10)
        assert {r.parents[0].source for r in requests} == {"seed = 1"}
        single = {name for name in search.rules.operators if catalogue.arity(name) == 1}
        assert {r.operator for r in requests} <= single - {catalogue.TUNER}

    def test_the_archive_policy_takes_a_fifth_from_history_if_it_is_told_to(self) -> None:
        search = Search(0, 1000, 1000, rules=Rules(history=0.2))
        search.tell(Proposed(0, candidate("seed = 1", "seed")))
        search.tell(Judged(0, verdict(100.0)))
        for number in range(1, 11):
            search.tell(Proposed(number, candidate(f"x = {number}")))
            search.tell(Judged(number, verdict(50.0 - number, program=f"p{number}")))
        share = sum(r.parents[0].source != "x = 10" for r in search.ask(2000)) / 2000
        assert 0.15 < share * 11 / 10 < 0.25

    def test_an_unknown_policy_is_named(self) -> None:
        with pytest.raises(ValueError, match="known: archive, best-of-n, sequential, restarts, islands"):
            Search(0, 1, 1, "simulated-annealing")


class TestArchive:
    def test_one_elite_per_cell_and_the_best_of_all(self) -> None:
        archive = Archive()
        assert archive.add(candidate("a"), verdict(10.0, 4.0))
        assert not archive.add(candidate("b"), verdict(20.0, 16.0))
        assert archive.add(candidate("c"), verdict(5.0, 4.0))
        assert [e.candidate.source for e in archive.ranked()] == ["c", "b"]
        assert archive.best == candidate("c").id

    def test_programs_that_compile_to_the_same_code_are_one(self) -> None:
        archive = Archive()
        archive.add(candidate("a"), verdict(10.0, program="same"))
        archive.add(candidate("b"), verdict(9.0, program="same"))
        assert archive.twins == 1
        assert archive.history == [candidate("a").id]

    def test_what_became_of_seeds_and_imports_is_counted_apart(self, tmp_path: Path, numbers: Task) -> None:
        given = [candidate("a", "imported"), candidate("b", "imported")]
        runs.begin(tmp_path / "run", settled(generations=1, population=3), numbers, runs.Start(tuple(given)))
        made = [candidate("c"), candidate("d"), candidate("e")]
        found = [
            verdict(9.0, program="p"),
            verdict(9.0, program="p"),
            failure(),
            failure(),
            verdict(8.0),
            verdict(7.0, program="p"),
        ]
        with Journal.append_to(tmp_path / "run") as journal:
            for number, evaluation in enumerate(found):
                if number > 2:
                    journal.append(Proposed(number, made[number - 3]))
                journal.append(Judged(number, evaluation))
        state = runs.read(tmp_path / "run")
        told = report.summary(state)
        assert (told["evaluations"], told["passed"], told["same_code"], told["failures"]) == (3, 1, 1, {"compile": 1})
        assert told["seeds"] == {"given": 3, "passed": 1, "same_code": 1, "failures": {"compile": 1}}
        assert "3 of 3 evaluations, 1 passed, 1 compiled to known code" in report.text(state)
        assert "seeds apart: 1 of 3 passed" in report.text(state)

    def test_a_failure_is_counted_and_never_an_elite(self) -> None:
        archive = Archive()
        assert not archive.add(candidate("a"), failure(Stage.RECORD))
        assert archive.best is None
        assert archive.elites == {}
        with pytest.raises(ValueError, match="no score"):
            _ = failure().score_us

    def test_lineage_goes_back_to_the_seed(self) -> None:
        archive = Archive()
        a, b = candidate("a", "seed"), candidate("b", parents=(candidate("a").id,))
        archive.add(a, verdict(10.0))
        archive.add(b, verdict(9.0))
        assert [e.candidate.source for e in archive.lineage(b.id)] == ["b", "a"]

    def test_lexicase_is_seeded_keeps_specialists_and_leaves_the_global_generator_alone(self) -> None:
        archive = Archive()
        archive.add(candidate("slow"), verdict(50.0, 4.0))
        archive.add(candidate("first"), verdict(10.0, 8.0, second=4.0))
        archive.add(candidate("second"), verdict(20.0, 16.0, second=0.5))
        entries = [archive[i] for i in archive.history]
        random.seed(5)
        before = random.getstate()
        chosen = [selection.lexicase(entries, np.random.default_rng(i)).candidate.source for i in range(60)]
        assert random.getstate() == before
        assert set(chosen) == {"first", "second"}
        assert chosen == [selection.lexicase(entries, np.random.default_rng(i)).candidate.source for i in range(60)]

    @pytest.mark.parametrize("unit", [0.1, 1.0, 1000.0])
    def test_what_lexicase_takes_for_a_tie_is_a_share_of_the_time(self, unit: float) -> None:
        archive = Archive()
        for name, time_us in (("best", 1.0), ("near", 1.01), ("far", 1.03)):
            archive.add(candidate(name), verdict(time_us * unit, float(len(name)), name))
        entries = [archive[i] for i in archive.history]
        assert len(entries) == 3
        chosen = {selection.lexicase(entries, np.random.default_rng(i)).candidate.source for i in range(60)}
        assert chosen == {"best", "near"}

    def test_a_complement_is_drawn_by_how_much_it_helps(self) -> None:
        archive = Archive()
        parent = candidate("parent")
        archive.add(parent, verdict(100.0, 4.0, second=0.01))
        archive.add(candidate("much"), verdict(10.0, 8.0, second=0.2))  # of cases 100 and 1: 10 and 2
        archive.add(candidate("little"), verdict(80.0, 16.0, second=0.015))  # 80 and 1.2
        rng = np.random.default_rng(0)
        drawn = [archive[selection.complement(archive, parent.id, rng) or ""].candidate.source for _ in range(300)]
        # the logarithms of the gains, 10 and 1.25, are as 10.3 to 1
        assert 0.85 < drawn.count("much") / 300 < 0.96


class Halving:
    """An operator for tests: the child is a number drawn near the parent's."""

    name, arity = "knob-step", 1

    def propose(self, parents: Sequence[Candidate], context: Context) -> Proposal:
        value = int(parents[0].source.split("=")[1]) + int(context.rng.integers(-3, 4))
        if context.known(fingerprint(f"x = {value}")):
            raise ProposalError("known")
        return Proposal(f"x = {value}", f"to {value}")


class Crossing(Halving):
    name, arity = "knob-cross", 2


class FormulaPool:
    """Judges `x = n` as |n - 7| microseconds away from perfect; can lose workers and answer out of order."""

    full = False  # where workers are lost

    def __init__(self, task: Task, settings: Settings, width: int = 1, lose: frozenset[int] = frozenset()) -> None:
        self.width, self.lose, self.tickets, self.submitted = width, set(lose), [], 0

    def free(self) -> int:
        return self.width - len(self.tickets)

    def submit(self, ticket: int, source: str) -> None:
        self.tickets.append((ticket, source))

    def wait(self, seconds: float, against: Mapping[str, str] | None = None) -> list[Done]:
        self.submitted += 1
        if not self.tickets:
            return []
        ticket, source = self.tickets.pop(-1 if self.submitted % 3 else 0)
        if ticket in self.lose:
            return [Done(ticket, None, 0.0, "killed by a test", full=self.full)]
        n = int(source.split("=")[1])
        result = failure() if n % 11 == 10 else verdict(1.0 + abs(n - 7), 4.0 if n % 2 else 16.0)
        return [Done(ticket, result, 0.01)]

    def close(self) -> None:
        self.tickets.clear()


@pytest.fixture
def numbers(double_task: Task) -> Task:
    return replace(double_task, seeds=(replace(double_task.seeds[0], source="x = 60"),))


def populate(
    folder: Path, numbers: Task, width: int = 1, lose: frozenset[int] = frozenset(), steps: int = 10**6
) -> Population:
    if not folder.exists():
        runs.begin(folder, settled(generations=6, population=8, pool="inline"), numbers)
    population = Population(folder, lambda t, s, _: FormulaPool(t, s, width, lose), (Halving(), Crossing()))
    try:
        while steps and not population.advance().done:
            steps -= 1
    except RunError:
        population.close()
        raise
    return population


def payloads(folder: Path) -> list[bytes]:
    with Journal.read(folder) as journal:
        return [row[0] for row in journal._connection.execute("SELECT payload FROM events ORDER BY seq")]


class TestPopulation:
    def test_the_same_seed_writes_the_same_events(self, tmp_path: Path, numbers: Task) -> None:
        populate(tmp_path / "a", numbers).close()
        populate(tmp_path / "b", numbers).close()
        assert payloads(tmp_path / "a") == payloads(tmp_path / "b")
        assert runs.read(tmp_path / "a").search.archive.ranked()[0].score_us < 10

    @pytest.mark.parametrize("step", [0, 1, 2, 7, 30])
    def test_stopping_anywhere_and_resuming_changes_nothing(self, tmp_path: Path, numbers: Task, step: int) -> None:
        populate(tmp_path / "whole", numbers).close()
        populate(tmp_path / "broken", numbers, steps=step).close()
        populate(tmp_path / "broken", numbers).close()
        assert payloads(tmp_path / "broken") == payloads(tmp_path / "whole")

    def test_losing_any_tail_of_the_journal_and_resuming_changes_nothing(self, tmp_path: Path, numbers: Task) -> None:
        populate(tmp_path / "whole", numbers).close()
        whole = payloads(tmp_path / "whole")
        for kept in range(2, len(whole), 5):
            folder = tmp_path / f"kept-{kept}"
            populate(folder, numbers, steps=kept).close()
            with Journal.append_to(folder) as journal:
                journal._connection.execute("DELETE FROM events WHERE seq > ?", (kept,))
            populate(folder, numbers).close()
            assert payloads(folder) == whole

    def test_with_verdicts_out_of_order_the_journal_still_replays_to_the_same_state(
        self, tmp_path: Path, numbers: Task
    ) -> None:
        population = populate(tmp_path / "run", numbers, width=4)
        live = population.search
        population.close()
        replayed = runs.read(tmp_path / "run").search
        assert replayed.archive.history == live.archive.history
        assert replayed.archive.elites == live.archive.elites
        assert replayed.evaluations == live.evaluations == 48
        assert not replayed.pending

    def test_every_request_follows_from_the_events_before_it(self, tmp_path: Path, numbers: Task) -> None:
        populate(tmp_path / "run", numbers, width=4).close()
        with Journal.read(tmp_path / "run") as journal:
            events = list(journal.events())
        settings = Settings(**events[0].settings)
        search = Search(settings.seed, settings.population, settings.generations, rules=settings.rules)
        checked = 0
        for event in events[1:]:
            if isinstance(event, Proposed) and event.candidate.operator != "seed":
                request = search.ask(1)[0]
                assert (request.number, request.operator) == (event.number, event.candidate.operator)
                assert tuple(p.id for p in request.parents) == event.candidate.parents
                checked += 1
            elif isinstance(event, Refused):
                search.ask(1)
            search.tell(event)
        assert checked == 48

    def test_an_operator_that_nobody_gave_is_named_before_anything_runs(self, tmp_path: Path, numbers: Task) -> None:
        runs.begin(tmp_path / "run", settled(), numbers)
        with pytest.raises(RunError, match="asks for operator 'knob-cross'; given are: knob-step"):
            Population(tmp_path / "run", lambda t, s, _: FormulaPool(t, s, 1), (Halving(),))

    def test_a_lost_worker_costs_one_attempt(self, tmp_path: Path, numbers: Task) -> None:
        runs.begin(tmp_path / "run", settled(generations=1, population=4, pool="inline"), numbers)
        pool = FormulaPool(numbers, settled(), 1, frozenset({1}))
        population = Population(tmp_path / "run", lambda *_: pool, (Halving(), Crossing()))
        population.advance()
        population.advance()
        assert population.progress().failures == ()
        pool.lose.clear()
        population.advance()
        assert population.search.evaluations == 1
        population.close()

    def test_a_candidate_that_costs_two_workers_is_a_failure_of_its_own_kind(
        self, tmp_path: Path, numbers: Task
    ) -> None:
        population = populate(tmp_path / "run", numbers, lose=frozenset({2}))
        population.close()
        assert runs.read(tmp_path / "run").search.archive.failures["machine"] == 1

    def test_a_full_disk_ends_the_session_and_is_nobodys_failure(
        self, tmp_path: Path, numbers: Task, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        folder = tmp_path / "run"
        with monkeypatch.context() as patch:
            patch.setattr(FormulaPool, "full", True)
            with pytest.raises(Unsettled, match=r"^killed by a test\. What the run knows is kept"):
                populate(folder, numbers, lose=frozenset({2}))
        population = populate(folder, numbers)
        population.close()
        state = runs.read(folder)
        assert state.search.done
        assert "machine" not in state.search.archive.failures

    def test_wall_time_is_kept_over_sessions_and_ends_the_run_when_it_is_spent(
        self, tmp_path: Path, numbers: Task
    ) -> None:
        folder = tmp_path / "run"
        runs.begin(folder, settled(max_minutes=1.0, pool="inline"), numbers)
        populate(folder, numbers, steps=3).close()
        used = runs.read(folder).wall_seconds
        assert used > 0
        with Journal.append_to(folder) as journal:
            journal.spend(60.0)
        population = populate(folder, numbers)
        assert population.progress().wall_seconds >= 60
        assert population.progress().stop == stopping.WALL_TIME
        population.close()
        state = runs.read(folder)
        assert state.search.done
        assert "ended: the wall time is spent" in report.text(state)
        assert report.summary(state)["stop"] == stopping.WALL_TIME
        runs.extend(folder, state.search.generations, {"max_minutes": 5.0})
        assert not runs.read(folder).search.done

    def test_a_journal_from_before_there_were_mechanisms_goes_on_without_them(
        self, tmp_path: Path, numbers: Task
    ) -> None:
        populate(tmp_path / "run", numbers).close()
        with Journal.read(tmp_path / "run") as journal:
            started, *others = journal.events()
        known = ("generations", "population", "target", "seed", "policy", "history", "basis", "mode", "pool")
        old = replace(started, settings={k: started.settings[k] for k in known})
        search = runs.fold_events([old, *others], "old").search
        assert search.evaluations == 48
        assert search.rules == Rules(
            ("knob-step", "knob-cross"),
            fallback=False,
            broadening=True,
            crossover=0.3,
            tuner=0.0,
            trials=8,
            macro=False,
        )

    def test_a_journal_that_somebody_changed_is_refused_in_one_line(self, tmp_path: Path, numbers: Task) -> None:
        populate(tmp_path / "run", numbers, steps=3).close()
        with Journal.read(tmp_path / "run") as journal:
            events = list(journal.events())
        twice = next(e for e in events if isinstance(e, Judged))
        with pytest.raises(RunError, match="contradicts itself, somebody has changed it: verdict on request"):
            runs.fold_events([*events, twice], "here")

    def test_a_failing_seed_stops_the_run_and_keeps_saying_so(self, tmp_path: Path, numbers: Task) -> None:
        wrong = replace(numbers, seeds=(replace(numbers.seeds[0], source="x = 10"),))
        runs.begin(tmp_path / "run", settled(pool="inline"), wrong)
        for _ in range(2):
            with pytest.raises(SeedFailed, match="seed kernel 'plain' fails at compile"):
                populate(tmp_path / "run", wrong)

    def test_a_run_can_begin_with_the_elites_of_another(self, tmp_path: Path, numbers: Task) -> None:
        populate(tmp_path / "one", numbers).close()
        best = runs.read(tmp_path / "one").search.archive
        runs.begin(
            tmp_path / "two", settled(generations=1, pool="inline"), numbers, runs.start_from(tmp_path / "one", numbers)
        )
        populate(tmp_path / "two", numbers).close()
        second = runs.read(tmp_path / "two").search
        assert second.archive[second.archive.best].score_us <= best[best.best].score_us
        assert second.evaluations == 8

    def test_two_runs_become_one(self, tmp_path: Path, numbers: Task) -> None:
        populate(tmp_path / "one", numbers).close()
        runs.begin(tmp_path / "two", settled(generations=6, policy="best-of-n", pool="inline"), numbers)
        populate(tmp_path / "two", numbers).close()
        merged = merging.merge(tmp_path / "one", tmp_path / "two", tmp_path / "both").search
        one, two = (runs.read(tmp_path / n).search.archive for n in ("one", "two"))
        assert set(merged.archive.history) == set(one.history) | set(two.history)
        assert merged.archive[merged.archive.best].score_us == min(one[one.best].score_us, two[two.best].score_us)
        populate(tmp_path / "both", numbers).close()

    def test_runs_of_different_tasks_are_not_merged(self, tmp_path: Path, numbers: Task) -> None:
        populate(tmp_path / "one", numbers).close()
        other = replace(numbers, source=numbers.source + "\n# changed\n")
        runs.begin(tmp_path / "two", settled(pool="inline"), other)
        with pytest.raises(RunError, match="different tasks"):
            merging.merge(tmp_path / "one", tmp_path / "two", tmp_path / "both")
        assert not (tmp_path / "both").exists()


def test_the_first_event_tells_how_the_run_was_begun(tmp_path: Path, numbers: Task) -> None:
    runs.begin(tmp_path / "run", settled(seed=7), numbers)
    with Journal.read(tmp_path / "run") as journal:
        started = next(journal.events())
    assert isinstance(started, Started)
    assert started.settings["seed"] == 7
    assert started.task["source"] == numbers.source
    assert {"evo-kernel", "python", "torch", "triton"} <= set(started.versions)


def test_a_fingerprint_sees_code_and_not_comments() -> None:
    assert fingerprint("x = 1  # one\n") == fingerprint('"""Doc."""\nx   =   1\n')
    assert fingerprint("x = 1") != fingerprint("x = 2")
    assert fingerprint("def (:") == digest("def (:")


def test_the_public_name_search_stays_the_function_however_often_it_is_asked_for() -> None:
    code = "import evo_kernel; assert evo_kernel.search is evo_kernel.search; assert callable(evo_kernel.search)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_programs_are_parsed_in_several_threads_without_a_failure() -> None:
    source, failures = "\n".join(f"x{i} = [a + {i} * (b - {i}) for a in range({i})]" for i in range(200)), []
    often = gc.get_threshold()

    def interrupt(phase: str, info: dict[str, int]) -> None:
        time.sleep(0)  # another thread goes on, in the middle of a tree

    def work() -> None:
        try:
            for _ in range(10):
                fingerprint(source)
        except SystemError as error:
            failures.append(error)

    gc.callbacks.append(interrupt)
    gc.set_threshold(100)
    try:
        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        gc.callbacks.remove(interrupt)
        gc.set_threshold(*often)
    assert failures == []


def test_nothing_parses_but_through_the_function_that_does_it_one_at_a_time() -> None:
    root = Path(__file__).parent.parent
    found = {
        str(p.relative_to(root))
        for folder in ("suites", "fitness", "archives", "operators", "evo_kernel")
        for p in (root / folder).rglob("*.py")
        if "ast.parse(" in p.read_text()
    }
    assert found == {"suites/parsing.py"}
