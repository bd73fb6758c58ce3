"""Every policy and mechanism on a made-up landscape: replay, halving, migration, trials, budgets, and what is refused."""

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from archives import selection
from archives.archive import Archive
from archives.candidate import Candidate, digest
from archives.events import Extended, Judged, Proposed, Refused, Stopped
from archives.front import LARGEST, Front
from archives.ranking import Ranking, Roster
from evo_kernel import idle, policies, stopping
from evo_kernel.bandit import Bandit, shares
from evo_kernel.cli import search as command
from evo_kernel.config import SECTIONS, Settings
from evo_kernel.errors import ConfigError
from evo_kernel.lines import Lines
from evo_kernel.rules import MECHANISMS, Limits, Rules
from evo_kernel.search import Search
from evo_kernel.structures import REMEMBERED, Structures
from fitness.evaluation import Basis, CaseResult, Evaluation, Failure, Stage
from operators.catalogue import KNOBS

sys.path.insert(0, str(Path(__file__).parent.parent / "benchmarks"))

import policies as study
import structured

ALL = Rules(
    operators=("knob-step", "knob-cross", "rewrite", "knob-tune"), bandit=True, halving=True, lexicase=0.2,
    lines=3, migration=10, trials=8, macro=True, fallback=True,
)  # fmt: skip


def entries(count: int, structure: str = "s") -> list[Candidate]:
    return [Candidate(f"x = {i}", "knob-step", "", (), str(i), structure) for i in range(count)]


def verdict(*times: float, error: float = 0.1, floor: float = 0.5, basis: Basis = Basis.PREDICTED) -> Evaluation:
    cases = tuple(CaseResult(f"c{i}", t, error, floor, "memory") for i, t in enumerate(times))
    return Evaluation("mi300", basis, "none", None, cases, confirmed=basis is Basis.MEASURED)


FAILED = Evaluation("mi300", Basis.PREDICTED, "none", Failure(Stage.COMPILE, "kind", "message"))


class TestReplay:
    @pytest.mark.parametrize("rules", [ALL, Rules(operators=ALL.operators)], ids=["every mechanism", "as shipped"])
    @pytest.mark.parametrize("policy", policies.NAMES)
    def test_a_run_that_is_rebuilt_in_the_middle_ends_with_the_same_events(self, policy: str, rules: Rules) -> None:
        landscape = structured.Landscape(5)
        whole = list(structured.drive(structured.begin(policy, rules, 48, 5), landscape))
        operators = structured.operators(rules.operators)
        for cut in range(5, len(whole), 23):
            search = structured.begin(policy, rules, 48, 5)
            for event in whole[:cut]:
                search.tell(event)
            for event in whole[cut:]:
                if not isinstance(event, Judged):
                    assert structured.answer(search, search.ask(1)[0], operators) == event
                search.tell(event)


class TestPolicies:
    def test_every_policy_keeps_to_the_budget_and_only_some_cross_and_tune(self) -> None:
        for policy in policies.NAMES:
            search = structured.begin(policy, ALL, 80, 1)
            used = {
                e.candidate.operator
                for e in structured.drive(search, structured.Landscape(1))
                if isinstance(e, Proposed)
            }
            assert search.evaluations == 80
            assert search.stop == stopping.EVALUATIONS
            assert ("knob-tune" in used) is (policy in ("archive", "islands")), policy

    def test_chains_of_restarts_never_meet_and_sequential_is_one_chain(self) -> None:
        rules = Rules(operators=("knob-step", "rewrite"), lines=4)
        search = structured.begin("restarts", rules, 80, 2)
        chain: dict[str, int] = {}
        for event in structured.drive(search, structured.Landscape(2)):
            if isinstance(event, Proposed) and event.number:
                (parent,) = event.candidate.parents
                chain[event.candidate.id] = event.number % 4
                assert chain.get(parent, event.number % 4) == event.number % 4

    def test_a_chain_leaves_what_fails_again_and_again(self) -> None:
        policy = policies.make("sequential", Rules(max_perf_debug_num=2))
        archive = Archive()
        for one, time in zip(entries(3), (3.0, 2.0, 1.0), strict=True):
            archive.add(one, verdict(time))
            policy.judged(1, archive[one.id], archive, 0.0)
        view = policies.View(archive, [], 1, False, False)
        assert policy.parent(view, np.random.default_rng(0)) == archive.best
        for _ in range(2):
            policy.judged(1, None, archive, 0.0)
        assert policy.parent(view, np.random.default_rng(0)) != archive.best

    def test_halving_gives_up_the_worse_lines_at_a_quarter_a_half_and_three_quarters(self) -> None:
        lines, archive = Lines(8), Archive()
        for number, one in enumerate(entries(8)):
            archive.add(one, verdict(10.0 - number))
            lines.judged(lines.of(number), archive[one.id], True)
        alive = []
        for spent in (0.1, 0.25, 0.5, 0.74, 0.75, 1.0):
            lines.halve(spent, archive)
            alive.append(list(lines.alive))
        assert alive == [list(range(8)), [4, 5, 6, 7], [6, 7], [6, 7], [7], [7]]

    def test_the_best_of_an_island_moves_to_the_next(self) -> None:
        lines, archive = Lines(2), Archive()
        for number, one in enumerate(entries(2)):
            archive.add(one, verdict(2.0 - number))
            lines.judged(lines.of(number), archive[one.id], True)
        assert lines.all[0].best != archive.best
        lines.migrate(archive)
        assert lines.all[0].best == archive.best

    def test_an_unknown_policy_or_mechanism_is_one_line(self) -> None:
        with pytest.raises(ValueError, match="no policy named 'luck'; known: archive, best-of-n, sequential"):
            policies.make("luck", Rules())
        assert Settings.model_fields["policy"].annotation.__args__ == policies.NAMES


class TestMechanisms:
    def test_the_study_has_each_that_the_config_knows_the_other_way_round_and_nothing_else_changed(self) -> None:
        settings = {setting for setting, _, _ in MECHANISMS.values()}
        assert {"without", "having"} == {
            p.name for p in command.params if getattr(p.type, "choices", ()) == tuple(MECHANISMS)
        }
        assert settings == set(SECTIONS["mechanisms"]) - {"lines", "migration", "max_perf_debug_num", "trial_patience"}
        operators = (*structured.OPERATORS, "knob-tune")
        shipped = Rules(operators=operators)
        rows = {**study.conflicting(operators), **study.variants(operators)}
        assert rows["archive"].rules == shipped
        for name, (setting, off, on) in MECHANISMS.items():
            standing = getattr(shipped, setting)
            turned = f"{'without' if standing else 'with'} {name}"
            row = rows.get(f"archive {turned}") or rows[f"archive with trials, {turned}"]
            needed = {} if name == "trials" else {"trials": shipped.trials}
            both = replace(row.rules, objectives=shipped.objectives, **needed)
            assert both == replace(shipped, **{setting: off if standing else on}), name
            assert standing in (off, on)

    @pytest.mark.parametrize(
        ("policy", "changes", "idle_ones"),
        [
            ("archive", {"trials": 8}, {"compromises"}),
            ("archive", {"operators": KNOBS, "trials": 8}, {"macro", "compromises"}),
            ("archive", {"operators": ALL.operators, "objectives": ("latency", "error"), "trials": 8}, set()),
            (
                "archive",
                {"operators": ("knob-step", "dispatch")},
                {"crossover", "tuner", "trials", "giving-up", "macro", "compromises"},
            ),
            ("archive", {"operators": ALL.operators, "trials": 0}, {"giving-up", "macro", "compromises"}),
            ("islands", {"crossover": 0.3, "trials": 8}, {"fallback", "broadening", "halving", "compromises"}),
            ("restarts", {}, set(MECHANISMS) - {"bandit"}),
        ],
    )
    def test_what_would_do_nothing_is_known(self, policy: str, changes: dict[str, object], idle_ones: set[str]) -> None:
        rules = replace(Rules(), **changes)
        assert {name for name in MECHANISMS if idle.why(name, policy, rules, models=False)} == idle_ones
        assert idle.why("macro", "archive", Rules(trials=8), models=True) is None

    def test_what_a_file_switches_on_and_would_do_nothing_is_said(self) -> None:
        told: list[str] = []
        idle.check(
            Settings(target="mi300", basis="predicted", macro=True, history=0.2, policy="restarts"), (), told.append
        )
        assert told == [
            "history = 0.2 does nothing: policy restarts does not choose parents by it",
            "macro = true does nothing: policy restarts uses no tuner",
        ]
        idle.check(Settings(target="mi300", basis="predicted", policy="restarts"), (), told.append)
        assert len(told) == 2

    def test_gpu_seconds_that_limit_nothing_are_refused_where_asked_for_and_told_of_where_a_file_names_them(
        self,
    ) -> None:
        settings, told = Settings(target="mi300", basis="predicted", max_gpu_seconds=5.0), []
        idle.check(settings, (), told.append)
        assert [line.partition(":")[0] for line in told] == ["max_gpu_seconds limits nothing"]
        with pytest.raises(ConfigError, match="leave it out, or limit the evaluations"):
            idle.check(settings, ("max_gpu_seconds",), told.append)
        idle.check(settings.model_copy(update={"basis": "measured"}), ("max_gpu_seconds",), told.append)
        assert len(told) == 1

    @pytest.mark.parametrize("limit", [{"max_calls": 5}, {"max_tokens": 100}, {"max_cost": "3"}])
    def test_limits_of_models_are_refused_or_told_of_where_there_is_none(self, limit: dict[str, Any]) -> None:
        settings, told = Settings(target="mi300", basis="predicted", **limit), []
        (name,) = limit
        idle.check(settings, (), told.append)
        assert told == [f"{name} limits nothing: the run has no model that writes programs"]
        with pytest.raises(ConfigError, match=f"{name} limits nothing: .*; leave it out, or name a model"):
            idle.check(settings, limit, told.append)
        given = {"models": [{"model": "openai:x", "price_input": "1", "price_output": "1"}]}
        idle.check(Settings(target="mi300", basis="predicted", **limit, **given), limit, told.append)
        assert len(told) == 1


class TestBandit:
    def test_it_comes_to_prefer_what_gains_for_what_it_costs_and_forgets(self) -> None:
        bandit, rng = Bandit(), np.random.default_rng(0)
        for _ in range(60):
            bandit.tell("good", True)
            bandit.tell("bad", False)
            bandit.tell("dear", True, cost=20.0)
        names = ("good", "bad", "dear")
        chosen = [bandit.choose(names, rng) for _ in range(300)]
        assert chosen.count("good") > 240
        for _ in range(150):
            bandit.tell("good", False)
            bandit.tell("bad", True)
        chosen = [bandit.choose(names, rng) for _ in range(300)]
        assert chosen.count("bad") > 200

    def test_misses_of_long_ago_weigh_as_little_as_gains(self) -> None:
        bandit = Bandit()
        for _ in range(100):
            bandit.tell("late", False)
        assert bandit.arms["late"].misses > 10
        for _ in range(300):
            bandit.tell("other", True)
        assert bandit.arms["late"].misses < 0.2

    def test_shares_add_up_and_what_is_switched_off_has_none(self) -> None:
        rules = Rules(operators=("knob-step", "knob-cross", "knob-tune"), crossover=0.3, tuner=0.5)
        assert shares(rules, True, True) == pytest.approx({"knob-step": 0.35, "knob-tune": 0.35, "knob-cross": 0.3})
        assert shares(rules, False, False) == {"knob-step": 1.0}
        structural = replace(rules, operators=(*rules.operators, "rewrite"))
        assert shares(structural, True, True)["rewrite"] == shares(structural, True, False)["rewrite"]
        assert shares(replace(rules, tuner=0.0, crossover=0.0), True, True) == {"knob-step": 1.0}


class TestStructures:
    def test_relatives_are_the_structures_own_then_its_kins_failures_among_them(self) -> None:
        known = Structures(Rules())
        for number, (one, time) in enumerate([("a", 3.0), ("a", None), ("b", 2.0), ("c", 1.0)]):
            made = Candidate(f"x = {number}", "step", "", (), str(number), one)
            known.proposed(number, made, ["a"] if one == "b" else [])
            known.judged(number, made, time, 1.0)
        known.proposed(9, Candidate("x = 9", "step", "", (), "9", "a"), [])
        assert [(o.source, o.time_us) for o in known.relatives("a")] == [
            ("x = 0", 3.0),
            ("x = 1", None),
            ("x = 2", 2.0),
        ]
        assert known.pending("a") == ("x = 9",)

    def test_what_is_told_is_bounded(self) -> None:
        known = Structures(Rules())
        for number, one in enumerate(entries(2 * REMEMBERED)):
            known.judged(number, one, 1.0 + number, 1.0)
        assert [o.time_us for o in known.relatives("s")] == [1.0 + n for n in range(REMEMBERED, 2 * REMEMBERED)]

    def test_a_new_structure_is_tried_for_a_while_and_given_up_when_it_falls_behind(self) -> None:
        known = Structures(Rules(trials=8))
        fine, other = entries(8, "fine"), entries(2, "other")
        for number, one in enumerate(fine[:-1]):
            known.judged(number, one, 1.2, 1.0)
        assert known.on_trial() == fine[0].id
        known.judged(99, fine[-1], 1.1, 1.0)
        assert known.on_trial() is None
        known.judged(100, other[0], 1.2, 1.0)
        assert known.on_trial() == other[0].id
        known.judged(101, other[1], 1.2, 0.5)
        assert known.on_trial() is None

    def test_a_trial_that_brings_nothing_ends_and_holds_no_more_in_flight_than_it_has_patience_for(self) -> None:
        known = Structures(Rules(trials=8, trial_patience=2))
        given = entries(6, "new")
        for number, time in enumerate((1.0, 0.995, 0.9)):
            known.judged(number, given[number], time, 1.0)
            assert known.young("new")
        known.proposed(7, given[3], ())
        assert known.room("new")
        assert known.on_trial() == given[2].id
        known.proposed(8, given[4], ())
        assert not known.room("new")
        assert known.on_trial() is None
        known.judged(7, given[3], None, 1.0)
        known.judged(8, given[4], 0.9, 1.0)
        assert not known.young("new")

    @pytest.mark.parametrize(("changes", "tried"), [({}, 1), ({"giving_up": 0.0}, 2), ({"trials": 0}, 0)])
    def test_trials_and_giving_up_are_each_switched_off_by_their_setting(
        self, changes: dict[str, float], tried: int
    ) -> None:
        known = Structures(replace(Rules(trials=8, giving_up=1.3), **changes))
        for number, (one, time) in enumerate([("near", 1.2), ("far", 2.0)]):
            known.judged(number, entries(1, one)[0], time, 1.0)
        assert known.young("near") + known.young("far") == tried


class TestArchive:
    def test_a_ranking_knows_its_best_whatever_changes(self) -> None:
        ranking, truth, rng = Ranking(), {}, np.random.default_rng(0)
        for step in range(2000):
            name = str(rng.integers(40))
            if rng.random() < 0.3:
                ranking.drop(name)
                truth.pop(name, None)
            else:
                truth[name] = step + float(rng.normal()) * 1000
                ranking.put(name, truth[name])
            assert ranking.best == min(truth, key=lambda n: truth[n], default=None)

    def test_a_roster_keeps_each_once_and_draws_from_all(self) -> None:
        roster = Roster()
        for name in "abcab":
            roster.add(name)
        roster.discard("a")
        roster.discard("z")
        assert sorted(roster) == ["b", "c"]
        assert {roster.draw(np.random.default_rng(i)) for i in range(20)} == {"b", "c"}

    def test_a_lucky_elite_loses_its_cell_and_the_best_its_place(self) -> None:
        archive = Archive(Basis.MEASURED)
        lucky, steady, slow = entries(3)
        for one, times in ((lucky, (1.0, 1.0)), (steady, (2.0, 2.0)), (slow, (3.0, 3.0))):
            archive.add(one, verdict(*times, basis=Basis.MEASURED))
        assert archive.front.members == (lucky.id,)
        archive.measure(lucky.id, verdict(2.5, 2.5, basis=Basis.MEASURED))
        assert archive.best == steady.id
        assert [e.candidate for e in archive.ranked()] == [steady]
        assert archive.front.members == (steady.id,)
        assert list(archive.elites_of("s")) == [steady.id]

    def test_the_front_is_what_no_program_beats_everywhere(self) -> None:
        rng = np.random.default_rng(1)
        archive = Archive()
        made = entries(120)
        for one in made:
            archive.add(one, verdict(*rng.lognormal(0, 1, 3)))
        times = {i: [c.time_us for c in archive[i].evaluation.cases] for i in archive.history}
        beaten = {
            i
            for i in times
            if any(j != i and all(a <= b for a, b in zip(times[j], times[i], strict=True)) for j in times)
        }
        assert set(archive.front.members) == set(times) - beaten

    def test_a_front_too_large_keeps_no_program_that_any_other_beats_and_one_near_each(self) -> None:
        rng, front, living = np.random.default_rng(2), Front(), {}
        for number in range(1500):
            angle = rng.random() * np.pi / 2
            point = 5 - np.array([np.cos(angle), np.sin(angle)]) * (1 - 0.1 * rng.random() ** 8)
            living[str(number)] = point
            front.offer(str(number), tuple(point.tolist()))
            if number > 600 and number % 50 == 0:  # a member that fails when it is measured
                gone = front.members[int(rng.integers(len(front)))]
                del living[gone]
                front.drop(gone)
        values = np.array(list(living.values()))
        for name in front.members:
            own = living[name]
            assert not ((values <= own).all(axis=1) & (values < own).any(axis=1)).any()
        kept = np.array([living[name] for name in front.members])
        assert len(kept) <= LARGEST
        assert all((kept <= 1.03 * value).all(axis=1).any() for value in values)

    def test_where_error_is_an_objective_precise_programs_stay_parents(self) -> None:
        made = entries(2)
        for errors, expected in ((False, {made[0].id}), (True, {made[0].id, made[1].id})):
            archive = Archive(objectives=("latency", "error") if errors else ())
            archive.add(made[0], verdict(1.0, error=0.9))
            archive.add(made[1], verdict(2.0, error=0.1))
            assert set(archive.front.members) == expected
            assert {selection.compromise(archive, np.random.default_rng(i)) for i in range(20)} <= expected

    def test_of_equals_the_first_is_the_best_and_leads_the_hall_of_fame(self) -> None:
        made = entries(8)
        archive = Archive()
        for one in made:
            archive.add(one, verdict(1.0))
        assert archive.best == made[0].id
        assert archive.top(1)[0].candidate.id == archive.best

    def test_where_portability_is_an_objective_what_is_fast_elsewhere_stays_a_parent(self) -> None:
        made = entries(3)
        archive = Archive(objectives=("latency", "portability"))
        for one, here, there in zip(made, (1.0, 2.0, 3.0), (9.0, 4.0, 5.0), strict=True):
            archive.add(one, replace(verdict(here), elsewhere=(("mi250", there),)))
        assert set(archive.front.members) == {made[0].id, made[1].id}
        assert {selection.compromise(archive, np.random.default_rng(i)) for i in range(20)} <= set(
            archive.front.members
        )

    def test_coverage_and_quality_count_cells_and_their_share_of_the_roofline(self) -> None:
        archive = Archive(describe=lambda e: (str(e.cases[0].time_us > 1),))
        for one, time in zip(entries(3), (1.0, 2.0, 4.0), strict=True):
            archive.add(one, verdict(time))
        assert archive.qd_score == pytest.approx(0.5 + 0.25)
        assert archive.coverage > 0
        assert [e.score_us for e in archive.top(2)] == pytest.approx([1.0, 2.0])


def begun(limits: Limits) -> Search:
    """Return a search of 20 evaluations whose seed passed at 8 us with a roofline of 0.5."""
    search = Search(0, 4, 5, limits=limits)
    search.tell(Proposed(0, Candidate("x = 0", "seed", "", (), "0", "s")))
    search.tell(Judged(0, verdict(8.0)))
    return search


def step(search: Search, time_us: float, gpu_seconds: float = 0.0) -> None:
    request = search.ask(1)[0]
    text = f"x = {request.number}"
    parents = tuple(p.id for p in request.parents)
    search.tell(Proposed(request.number, Candidate(text, request.operator, "", parents, digest(text), "s")))
    search.tell(Judged(request.number, verdict(time_us), gpu_seconds))


class TestBudgets:
    def test_near_enough_to_the_roofline_is_the_end(self) -> None:
        search = begun(Limits(stop_at_roofline=0.5))
        step(search, 1.01)
        assert search.stop is None
        step(search, 0.99)
        assert search.stop == stopping.ROOFLINE
        assert search.ask(1) == ()

    def test_stagnation_is_the_end(self) -> None:
        search = begun(Limits(stop_after_stagnation=3))
        for time in (9.0, 9.1, 7.0, 9.2, 9.3):
            step(search, time)
            assert not search.done
        step(search, 9.4)
        assert search.stop == stopping.STAGNATION

    def test_gpu_seconds_are_counted_from_the_verdicts(self) -> None:
        search = begun(Limits(max_gpu_seconds=1.0))
        step(search, 9.0, 0.6)
        assert not search.done
        step(search, 9.1, 0.6)
        assert search.stop == stopping.GPU_SECONDS
        search.tell(Extended(5, {"max_gpu_seconds": 5.0}))
        assert not search.done

    def test_an_ended_run_goes_on_when_it_is_extended(self) -> None:
        search = begun(Limits())
        search.tell(Stopped(stopping.WALL_TIME))
        assert search.stop == stopping.WALL_TIME
        search.tell(Extended(5))
        assert search.ask(1)

    def test_refused_proposals_cost_no_budget(self) -> None:
        search = begun(Limits())
        request = search.ask(1)[0]
        search.tell(Refused(request.number, request.operator, (), "nothing"))
        assert search.evaluations == 0
        assert search.bandit.arms[request.operator].misses == 1


def test_events_with_new_parts_come_back_and_old_ones_are_read() -> None:
    from archives import events

    for event in (
        Judged(3, FAILED, 1.5), Judged(3, FAILED), Extended(4), Extended(4, {"max_minutes": 2.0}), Stopped("wall-time"),
    ):  # fmt: skip
        assert events.decode(*events.encode(event)) == event
    kind, payload = events.encode(Extended(4))
    assert events.decode(kind, payload.replace(bytes([events.FORMAT]), bytes([2]), 1)) == Extended(4)
