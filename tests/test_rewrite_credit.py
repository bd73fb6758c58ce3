"""What rewrites gained is remembered and drawn by, and two programs that were rewritten apart are crossed."""

import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

import msgpack
import numpy as np
import pytest

from archives.candidate import Candidate, fingerprint
from archives.events import USUAL, Judged, Learned, Proposed, Refused, Started, decode, encode
from evo_kernel import prior, runs
from evo_kernel.config import Settings
from evo_kernel.credit import PRIOR, table
from evo_kernel.errors import RunError
from evo_kernel.rules import Rules
from evo_kernel.search import Search
from operators.catalogue import REWRITE, REWRITE_CROSS
from operators.proposal import Context, ProposalError
from operators.rewrites.caching import Caching
from operators.rewrites.crossing import RewriteCross
from operators.rewrites.exp2 import Exp2
from operators.rewrites.families import FAMILIES
from operators.rewrites.operator import Rewriting
from operators.rewrites.program import apply, read
from operators.rewrites.ranges import TritonRange
from suites import load

sys.path.insert(0, str(Path(__file__).parent.parent / "benchmarks"))

import structured

SEED = load("softmax").seeds[0].source


def context(seed: int, **more: object) -> Context:
    return Context(np.random.default_rng(seed), lambda mark: False, "h200", "cuda", **more)


def candidate(source: str) -> Candidate:
    return Candidate(source, REWRITE, "", (), fingerprint(source), "s")


def rewritten(source: str, family: object) -> str:
    program = read(source)
    return apply(program, list(family.sites(program)))


def test_a_family_that_never_helps_fades_but_does_not_vanish() -> None:
    operator = Rewriting((Exp2(), TritonRange()))
    drawn = {}
    for credit in ({}, {"exp-to-exp2": (0, 60, 0), "range-stages": (6, 6, 0.6)}):
        made = [operator.propose([candidate(SEED)], context(n, credit=credit)).intent for n in range(60)]
        drawn[bool(credit)] = Counter(intent.partition(":")[0] for intent in made)["exp-to-exp2"]
    assert 15 < drawn[False] < 45
    assert 1 <= drawn[True] < 9


def test_of_families_that_gain_as_often_the_one_that_gains_more_is_drawn_first() -> None:
    operator = Rewriting((Exp2(), TritonRange()))
    credit = {"exp-to-exp2": (5, 5, 5 * 0.01), "range-stages": (5, 5, 5 * 0.3)}
    made = [operator.propose([candidate(SEED)], context(n, credit=credit)).intent for n in range(60)]
    assert sum(intent.startswith("range-stages") for intent in made) > 50


def test_a_journal_of_an_older_version_that_did_not_say_how_much_was_gained_is_read() -> None:
    event = decode("learned", msgpack.packb([6, [["h200", "products", "split-k", 3, 1]]]))
    assert event == Learned((("h200", "products", "split-k", 3, 1, pytest.approx(3 * USUAL)),))


def test_what_became_of_operators_and_families_follows_from_the_events_and_agrees_with_them() -> None:
    rules = Rules(operators=("knob-step", "knob-cross", REWRITE))
    search = structured.begin("archive", rules, 64, 3)
    events = list(structured.drive(search, structured.Landscape(3)))
    again = structured.begin("archive", rules, 64, 3)
    for event in events:
        again.tell(event)
    assert again.credit.rows() == search.credit.rows()
    operators = {e.number: e.candidate.operator for e in events if isinstance(e, Proposed)}
    judged = [(operators[e.number], e.evaluation.passed) for e in events if isinstance(e, Judged) and e.number]
    for name, record in search.credit.operators.items():
        assert record.tries == sum(operator == name for operator, _ in judged)
        assert record.valid == sum(passed for operator, passed in judged if operator == name)
        assert record.most >= record.mean_gain >= 1.0
    (family,) = search.credit.families.values()
    assert family == search.credit.operators[REWRITE]
    assert family.gains > 0


def test_an_operator_that_crosses_structures_is_told_how_both_parents_were_rewritten() -> None:
    rules = Rules(operators=("knob-step", REWRITE, REWRITE_CROSS), crossover=0.3)
    search, landscape, told = structured.begin("archive", rules, 64, 1), structured.Landscape(1), []
    known = structured.operators(rules.operators)
    event = Proposed(0, structured.candidate(landscape.start(), "seed", "start", ()))
    while event is not None:
        search.tell(event)
        if isinstance(event, Proposed):
            event = Judged(event.number, landscape.judge(structured.read(event.candidate.source)))
            continue
        requests = search.ask(1)
        event = None
        if requests and requests[0].operator == REWRITE_CROSS:
            told.append(requests[0])
            event = Refused(requests[0].number, REWRITE_CROSS, (), "only looked at")
        elif requests:
            event = structured.answer(search, requests[0], known)
    assert len(told) > 5
    for request in told:
        assert len({parent.id for parent in request.parents}) == len(request.lineages) == 2
    assert any(len(intents) > 1 for request in told for intents in request.lineages)


def test_an_elite_of_another_run_brings_the_rewrites_that_led_to_it(monkeypatch: pytest.MonkeyPatch) -> None:
    landscape, rules = structured.Landscape(3), Rules(operators=("knob-step", REWRITE))
    line = [("seed", "plain"), (REWRITE, "exp-to-exp2: compute (2 places)"), (REWRITE_CROSS, "cache-hints: as another")]
    search = of_programs(landscape, rules, [*line, ("knob-step", "BLOCK")])
    state = runs.State(Settings(), load("softmax"), search, Started({}, {}, {}, {}))
    monkeypatch.setattr(runs, "read", lambda folder: state)
    brought = {c.intent: c for c in runs.start_from(Path("runs/split-k"), state.task).programs}
    last = brought["elite of split-k, rewritten by exp-to-exp2, cache-hints"]
    later = of_programs(landscape, rules, [(last.operator, last.intent), (REWRITE, "range-stages: let it (a place)")])
    led = {c.id: later.learned.rewrites(c) for c in (e.candidate for e in later.archive.ranked())}
    assert max(led.values(), key=len) == ("exp-to-exp2, cache-hints", "range-stages: let it (a place)")
    old = of_programs(
        landscape, rules, [("imported", "elite of split-k")]
    )  # no word of rewrites: a folder's name is none
    assert old.learned.rewrites(old.archive.ranked()[0].candidate) == ()


def of_programs(landscape: structured.Landscape, rules: Rules, line: list[tuple[str, str]]) -> Search:
    """Make a search of programs each of which came of the one before, by an operator and with an intent."""
    search, parents = structured.begin("archive", rules, 64, 3), ()
    for number, (operator, intent) in enumerate(line):
        start = landscape.start()
        program = replace(start, knobs=(number, *start.knobs[1:]))
        made = structured.candidate(program, operator, intent, parents)
        if number:
            search.ask(1)
        search.tell(Proposed(number, made))
        search.tell(Judged(number, landscape.judge(program)))
        parents = (made.id,)
    return search


def test_a_child_has_the_rewrites_of_both_parents() -> None:
    one, two = rewritten(SEED, Exp2()), rewritten(SEED, Caching())
    lineages = (("exp-to-exp2: compute (2 places)",), ("cache-hints: tell (4 places)",))
    children = {
        RewriteCross().propose([candidate(one), candidate(two)], context(n, lineages=lineages)).source
        for n in range(20)
    }
    both = rewritten(one, Caching())
    assert both == rewritten(two, Exp2())
    assert both in children
    assert one not in children
    assert two not in children


def test_functions_of_equal_parameters_change_places_and_others_do_not() -> None:
    helper = "import triton\nimport triton.language as tl\n\n\n@triton.jit\ndef f(x):\n    return x + {}\n\n\n# {}\n"
    one, two = helper.format(1, "one"), helper.format(2, "two")
    child = RewriteCross().propose([candidate(one), candidate(two)], context(0))
    assert child.source in (helper.format(2, "one"), helper.format(1, "two"))
    assert child == RewriteCross().propose([candidate(one), candidate(two)], context(0))
    with pytest.raises(ProposalError, match="no rewrite or function"):
        RewriteCross().propose([candidate(one), candidate(two.replace("f(x)", "f(x, y=1)"))], context(0))


def test_what_a_run_saw_of_families_is_worth_a_few_tries_to_the_next_one_on_such_a_kernel() -> None:
    rules = Rules(operators=("knob-step", REWRITE))
    search = structured.begin("archive", rules, 64, 3)
    events = list(structured.drive(search, structured.Landscape(3)))
    (record,) = search.credit.families.values()
    ((target, kernel, family, gains, misses, log_gain),) = search.credit.passed_on()
    assert (gains, misses, log_gain) == (record.gains, record.tries - record.gains, pytest.approx(record.log_gain))
    later = structured.begin("archive", rules, 64, 3)
    later.tell(decode(*encode(Learned(search.credit.passed_on()))))
    told = later.credit.outcomes((target, kernel))
    assert sum(told[family][:2]) == pytest.approx(PRIOR)
    assert told[family][2] / told[family][0] == pytest.approx(record.log_gain / record.gains)
    assert told[family][0] / PRIOR == pytest.approx(record.gains / record.tries)
    assert later.credit.outcomes((target, "products")) == later.credit.outcomes(("another", kernel)) == {}
    assert f"{kernel}, {target}" in table(later.credit.rows())
    for event in events:
        later.tell(event)
    assert later.credit.passed_on() == ((target, kernel, family, 2 * gains, 2 * misses, pytest.approx(2 * log_gain)),)
    assert later.credit.outcomes((target, kernel))[family][0] == pytest.approx(record.gains + told[family][0])


def test_a_measured_run_begins_with_what_searches_of_other_tasks_saw_of_rewrites_unless_told_not_to(
    tmp_path: Path,
) -> None:
    measured = Settings(target="h200", basis="measured")
    runs.begin(tmp_path / "flip", measured, load("flip"))
    told = runs.read(tmp_path / "flip").search.credit.outcomes(("h200", "pointwise"))
    assert told["blocks-by-bytes"][0] > told["blocks-by-bytes"][1]
    every, others = prior.outcomes("h200", ""), prior.outcomes("h200", "flip")
    assert sum(gains + misses for *_, gains, misses, _ in others) < sum(
        gains + misses for *_, gains, misses, _ in every
    )
    assert {family for _, _, family, *_ in every} <= {family.name for family in FAMILIES}
    for number, changes in enumerate(({"prior": False}, {"basis": "predicted"}, {"target": "mi300"})):
        runs.begin(tmp_path / str(number), measured.model_copy(update=changes), load("flip"))
        assert runs.read(tmp_path / str(number)).search.credit.shipped == ()
    known = (("h200", "pointwise", "blocks-by-bytes", 3.0, 1.0, 0.4),)
    runs.begin(tmp_path / "told", measured, load("flip"), runs.Start((), known, "measured"))
    credit = runs.read(tmp_path / "told").search.credit
    assert (credit.earlier, credit.shipped, credit.passed_on()) == (known, others, known)
    both = credit.outcomes(("h200", "pointwise"))
    assert sum(both["blocks-by-bytes"][:2]) == pytest.approx(PRIOR)  # four of them the run's own
    assert both["blocks-by-bytes"][0] == pytest.approx(3 + 6 * told["blocks-by-bytes"][0] / PRIOR)
    assert {k: v for k, v in both.items() if k != "blocks-by-bytes"} == {
        k: v for k, v in told.items() if k != "blocks-by-bytes"
    }


def test_what_was_predicted_of_rewrites_is_no_word_on_what_is_measured(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    known = (("h200", "reductions", "rows-per-program", 3.0, 1.0, 0.4),)
    predicted = Settings(target="h200", basis="predicted")
    runs.begin(tmp_path / "one", predicted, load("row_sum"), runs.Start((), known))
    start = runs.start_from(tmp_path / "one", load("row_sum"))
    measured = predicted.model_copy(update={"basis": "measured"})
    runs.begin(tmp_path / "two", measured, load("row_sum"), start)
    credit = runs.read(tmp_path / "two").search.credit
    assert (credit.earlier, credit.shipped) == ((), prior.outcomes("h200", "row_sum"))
    assert "its times were predicted, this run's are measured" in caplog.text
    runs.begin(tmp_path / "three", predicted, load("row_sum"), start)
    assert runs.read(tmp_path / "three").search.credit.earlier == known


def test_a_run_of_another_launcher_gives_what_it_knew_of_rewrites_and_none_of_its_programs(tmp_path: Path) -> None:
    known = (("mi300", "reductions", "rows-per-program", 3.0, 1.0, 0.4),)
    settings = Settings(target="mi300", basis="predicted")
    runs.begin(tmp_path / "one", settings, load("row_sum"), runs.Start((), known))
    assert runs.start_from(tmp_path / "one", load("softmax")) == runs.Start((), known, "predicted")
    runs.begin(tmp_path / "none", settings, load("row_sum"))
    with pytest.raises(RunError, match=r"whose launcher is not `softmax`.*nothing to begin with"):
        runs.start_from(tmp_path / "none", load("softmax"))
