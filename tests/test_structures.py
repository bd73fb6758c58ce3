"""The tuner and the search together on programs of several structures: who gets a trial, who is given up, and replay."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from archives.candidate import Candidate, fingerprint
from archives.events import Answered, Asked, Event, Judged, Proposed, Refused
from evo_kernel.rules import Rules
from evo_kernel.search import Search
from fitness.evaluation import Basis, CaseResult, Evaluation
from operators.knob_operators import KnobStep
from operators.knobs import structure, values
from operators.proposal import Context, Operator, Proposal, ProposalError
from operators.tune.operator import KnobTune

KERNEL = """
import torch, triton
import triton.language as tl

@triton.jit
def scale_kernel(out, x, n, BLOCK: tl.constexpr):
    offs = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    v = tl.load(x + offs, mask=offs < n)
    tl.store(out + offs, 2 * v, mask=offs < n)

def scale(x):
    out = torch.empty_like(x)
    scale_kernel[(triton.cdiv(x.numel(), 256),)](out, x, x.numel(), BLOCK=256, num_warps=4)
    return out
"""
MORE = "    v = v + 0\n"  # one more of these is a new structure
COST = (1.0, 1.1, 5.0)  # of a structure, by how many there are
EVALUATIONS = 48
TRIAL = 8  # evaluations of a new structure


class Rewrite:
    """Stands in the place of a model: puts one line in or two, which makes a new structure."""

    name, arity = "rewrite", 1

    def propose(self, parents: Sequence[Candidate], context: Context) -> Proposal:
        bare = parents[0].source.replace(MORE, "")
        for lines in (1, 2):
            source = bare.replace("    tl.store", lines * MORE + "    tl.store")
            if not context.known(fingerprint(source)):
                return Proposal(source, "more lines")
        raise ProposalError("nothing to add")


OPERATORS: dict[str, Operator] = {o.name: o for o in (KnobStep(), KnobTune(), Rewrite())}


def time_us(source: str) -> float:
    """A valley around BLOCK 1024 with 8 warps, times what the structure costs."""
    knobs = values(source)
    off = abs(np.log2(knobs["scale_kernel.BLOCK"] / 1024)) + abs(np.log2(knobs["scale_kernel.num_warps"] / 8))
    return float((100 + 2 * off) * COST[source.count(MORE)])


def candidate(source: str, operator: str, parents: tuple[str, ...] = ()) -> Candidate:
    return Candidate(source, operator, "", parents, fingerprint(source), structure(source))


def begun() -> Search:
    return Search(
        3, 8, EVALUATIONS // 8, "archive", Rules(operators=tuple(OPERATORS), trials=TRIAL, giving_up=1.3, macro=True)
    )


def answer(search: Search) -> Event:
    """Ask for one program, and answer as the loop around the search does."""
    (request,) = search.ask(1)
    parents = tuple(p.id for p in request.parents)
    context = Context(request.rng, search.known, "mi300", "hip", request.relatives, request.pending)
    try:
        made = OPERATORS[request.operator].propose(request.parents, context)
    except ProposalError as error:
        return Refused(request.number, request.operator, parents, str(error))
    return Proposed(request.number, candidate(made.source, request.operator, parents))


def judged(event: Proposed) -> Judged:
    case = CaseResult("a", time_us(event.candidate.source), 0.1, 0.1, "memory")
    return Judged(event.number, Evaluation("mi300", Basis.PREDICTED, "process", None, (case,)))


@pytest.fixture(scope="module")
def run() -> list[Event]:
    """A whole run's events."""
    search, events = begun(), []
    event: Event = Proposed(0, candidate(KERNEL, "seed"))
    while True:
        search.tell(event)
        events.append(event)
        if isinstance(event, Proposed):
            event = judged(event)
        elif search.done:
            return events
        else:
            event = answer(search)


def folded(events: Sequence[Event], search: Search | None = None) -> Search:
    search = search or begun()
    for event in events:
        search.tell(event)
    return search


class TestTrials:
    def test_a_promising_structure_gets_its_small_budget_and_a_hopeless_one_none(self, run: list[Event]) -> None:
        programs = [e.candidate.source.count(MORE) for e in run if isinstance(e, Proposed)]
        assert set(programs) == {0, 1, 2}
        assert programs.count(1) >= TRIAL
        searches = [folded(run[:n]) for n in range(2, len(run))]
        programs = {e.candidate.structure: e.candidate.source.count(MORE) for e in run if isinstance(e, Proposed)}
        assert {programs[one] for one in programs if any(s.structures.young(one) for s in searches)} == {0, 1}

    def test_a_run_that_is_cut_in_the_middle_of_a_trial_goes_on_as_if_it_had_not_been(self, run: list[Event]) -> None:
        cuts = [
            n for n in range(2, len(run)) if not isinstance(run[n], Judged) and folded(run[:n]).structures.on_trial()
        ]
        assert len(cuts) > TRIAL
        for cut in cuts[::3]:
            assert answer(folded(run[:cut])) == run[cut]

    def test_known_code_under_another_structure_is_no_trial(self) -> None:
        search, seed = begun(), Proposed(0, candidate(KERNEL, "seed"))
        verdict = replace(judged(seed).evaluation, program="the same code")
        twin = Proposed(1, candidate(KERNEL.replace("    tl.store", MORE + "    tl.store"), "rewrite"))
        for event in (seed, Judged(0, verdict), twin, Judged(1, verdict)):
            search.tell(event)
        assert search.archive.twins == 1
        for number in range(2, 2 + TRIAL):  # the seed's own trial ends
            proposed = Proposed(number, candidate(KERNEL.replace("BLOCK=256", f"BLOCK={number}"), "knob-step"))
            search.tell(proposed)
            search.tell(Judged(number, replace(verdict, program=f"program {number}")))
        assert all(search.ask(1) for _ in range(20))

    def test_a_refusal_of_the_tuner_ends_the_trial(self, run: list[Event]) -> None:
        cut = next(n for n in range(3, len(run)) if folded(run[:n]).structures.on_trial())
        search = folded(run[:cut])
        young = search.structures.on_trial()
        assert young is not None
        (request,) = search.ask(1)
        search.tell(Refused(request.number, "knob-tune", (young,), "nothing new"))
        assert search.structures.on_trial() != young


class TestMacroSteps:
    def test_a_rewrite_and_its_trial_are_one_proposal_with_the_gain_of_the_fastest(self, run: list[Event]) -> None:
        began = next(n for n in range(3, len(run)) if any(folded(run[:n]).learned.macros.open))
        ended = next(n for n in range(began, len(run)) if not any(folded(run[:n]).learned.macros.open))
        before, after, step = folded(run[: began - 1]), folded(run[:ended]), run[began:ended]
        rewritten = run[began - 2]
        assert isinstance(rewritten, Proposed)
        assert rewritten.candidate.operator == "rewrite"
        tuned = [e.candidate for e in step if isinstance(e, Proposed)]
        assert {(c.operator, c.structure) for c in tuned} == {("knob-tune", rewritten.candidate.structure)}
        assert 0 < len(tuned) < TRIAL
        assert after.evaluations == before.evaluations + 1 + len(tuned)
        assert {"rewrite"} == after.bandit.arms.keys() - before.bandit.arms.keys()
        assert after.bandit.arms["rewrite"].cost == 1 + len(tuned)
        record = after.credit.operators["rewrite"]
        assert record.tries == 1
        fastest = min(time_us(c.source) for c in [rewritten.candidate, *tuned])
        parent = before.archive[rewritten.candidate.parents[0]].score_us
        assert record.most == pytest.approx(max(1.0, parent / fastest))

    @pytest.mark.parametrize("tuned", [False, True])
    def test_a_family_is_credited_with_what_its_structure_gains_and_not_with_what_tuning_does(
        self, tuned: bool
    ) -> None:
        search, seed = begun(), candidate(KERNEL, "seed")
        numbers = [(256, 4), *([(1024, 8), (512, 8), *((1024, w) for w in (1, 2, 4, 16)), *((2048, w) for w in (1, 2, 4))]
                               if tuned else [])]  # fmt: skip

        def with_numbers(source: str, block: int, warps: int) -> str:
            return source.replace("256", str(block)).replace("num_warps=4", f"num_warps={warps}")

        programs = [candidate(with_numbers(KERNEL, *n), "knob-tune" if k else "seed", (seed.id,) if k else ())
                    for k, n in enumerate(numbers)]  # fmt: skip
        rewritten = KERNEL.replace("    tl.store", MORE + "    tl.store")
        made = replace(candidate(rewritten, "rewrite", (seed.id,)), intent="more-lines: one more")
        programs += [made, candidate(with_numbers(rewritten, 1024, 8), "knob-tune", (made.id,))]
        for number, program in enumerate(programs):
            search.tell(Proposed(number, program))
            search.tell(judged(Proposed(number, program)))
        search.learned.settle(True, 1.0)
        record = search.credit.families["more-lines"]
        fastest, first = time_us(programs[-1].source), time_us(KERNEL)
        assert fastest == pytest.approx(110)  # of its structure: a tenth slower than the parent's, whatever its numbers
        assert (record.tries, record.gains) == (1, 0)
        assert search.credit.operators["rewrite"].gains == (fastest < 0.99 * first)

    def test_a_run_that_is_cut_in_the_middle_of_a_step_judges_it_alike(self, run: list[Event]) -> None:
        cuts = [n for n in range(2, len(run)) if any(folded(run[:n]).learned.macros.open)]
        assert cuts
        for cut in cuts:
            if not isinstance(run[cut], Judged):
                assert answer(folded(run[:cut])) == run[cut]

    @pytest.mark.parametrize("share", [0.5, 1.0])
    def test_a_structure_of_a_model_is_tuned_unless_all_is_left_to_models_and_its_calls_are_paid_for_by_both(
        self, share: float
    ) -> None:
        rules = Rules(("knob-step", "knob-tune"), trials=TRIAL, macro=True, bandit=True, model_share=share)

        def fresh() -> Search:
            return Search(3, 8, EVALUATIONS // 8, "archive", rules)

        search, seed = fresh(), Proposed(0, candidate(KERNEL, "seed"))
        made = candidate(KERNEL.replace("    tl.store", MORE + "    tl.store"), "optimize", (seed.candidate.id,))
        asked = (Asked(1, "optimize", "m", made.parents), Answered(1, 900, 3 * 10**10, 2), Proposed(1, made))
        events = [seed, judged(seed), *asked, judged(asked[-1])]
        folded(events, search)
        while any(search.learned.macros.open):
            event = answer(search)
            assert answer(folded(events, fresh())) == event
            events += [event, *([judged(event)] if isinstance(event, Proposed) else [])]
            folded(events[-2:] if isinstance(event, Proposed) else events[-1:], search)
        tuned = [e.candidate for e in events[6:] if isinstance(e, Proposed)]
        assert len(tuned) == (TRIAL - 1 if share < 1 else 0)
        assert {(c.operator, c.structure) for c in tuned} <= {("knob-tune", made.structure)}
        arm = search.bandit.arms.pop("optimize by m")
        assert arm.cost == pytest.approx(1 + 0.03 / rules.evaluation_dollars + len(tuned))
        assert search.bandit.arms == {}
        assert arm.gains == (min(time_us(c.source) for c in [made, *tuned]) < 0.99 * time_us(KERNEL))
        assert search.credit.operators["optimize by m"].tries == 1

    def test_without_macro_steps_a_rewrite_is_judged_by_its_first_program(self, run: list[Event]) -> None:
        search = Search(3, 8, EVALUATIONS // 8, "archive", Rules(operators=tuple(OPERATORS), macro=False))
        for event in run[:2]:
            search.tell(event)
        made = Rewrite().propose((run[0].candidate,), Context(np.random.default_rng(0), search.known, "mi300", "hip"))
        event = Proposed(1, candidate(made.source, "rewrite", (run[0].candidate.id,)))
        search.tell(event)
        search.tell(judged(event))
        assert search.credit.operators["rewrite"].tries == 1
