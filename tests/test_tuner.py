"""The tuner on spaces whose answer is known: what it may choose, what it finds, and what it gives up."""

import re
from collections.abc import Callable
from itertools import product

import numpy as np
import pytest
from click.testing import CliRunner

from archives.candidate import Candidate, fingerprint
from archives.events import Judged, Proposed, Refused
from evo_kernel.cli import main
from evo_kernel.rules import Rules
from evo_kernel.search import Search
from fitness.evaluation import Basis, CaseResult, Evaluation
from operators.knob_constraints import fits
from operators.knob_operators import KnobStep
from operators.knobs import structure, values
from operators.proposal import Context, Observed, ProposalError
from operators.rewrites.families import FAMILIES
from operators.rewrites.program import apply, read
from operators.tune import conditions, constraints, failures
from operators.tune.constraints import Constraint
from operators.tune.operator import KnobTune, Tuning
from operators.tune.space import Config, Parameter, Space, SpaceError
from operators.tune.starts import SETTINGS
from operators.tune.tuner import Observation, propose
from suites import load

SOFTMAX = """
import torch, triton
import triton.language as tl

@triton.jit
def softmax_kernel(out, x, cols, BLOCK: tl.constexpr):
    row, offs = tl.program_id(0), tl.arange(0, BLOCK)
    v = tl.load(x + row * cols + offs, mask=offs < cols, other=-float("inf"))
    e = tl.exp(v - tl.max(v, 0))
    tl.store(out + row * cols + offs, e / tl.sum(e, 0), mask=offs < cols)

def softmax(x):
    out = torch.empty_like(x)
    softmax_kernel[(x.shape[0],)](out, x, x.shape[1], BLOCK=256, num_warps=4)
    return out
"""
PRODUCT = load("gemm_fp16").seeds[0].source
SIZES = Parameter("BLOCK", (16, 32, 64, 128, 256, 512), "power-of-two")
WARPS = Parameter("num_warps", (1, 2, 4, 8, 16), "power-of-two")
STAGES = Parameter("num_stages", (1, 2, 3, 4), "ordinal")
ORDER = Parameter("order", ("rows", "columns", "tiles"), "categorical")
PARAMETERS = (SIZES, WARPS, STAGES, ORDER)


def time_of(space: Space, config: Config) -> float | None:
    """A valley around BLOCK 128 with 4 warps and 3 stages by tiles; more than 128 elements a warp and stage do not fit."""
    v = space.values(config)
    if v["BLOCK"] * v["num_stages"] // v["num_warps"] > 128:
        return None
    off = abs(np.log2(v["BLOCK"] / 128)) + abs(np.log2(v["num_warps"] / 4)) + abs(v["num_stages"] - 3)
    return float(100 * (1 + 0.2 * off) * {"rows": 1.5, "columns": 1.3, "tiles": 1.0}[v["order"]])


def search(space: Space, judge: Callable[[Space, Config], float | None], count: int, seed: int,
           prior: tuple[Observation, ...] = ()) -> list[Observation]:  # fmt: skip
    observed: list[Observation] = []
    for number in range(count):
        (config,) = propose(space, observed, (), np.random.default_rng((seed, number)), 1, prior)
        observed.append(Observation(config, judge(space, config)))
    return observed


def best(observed: list[Observation]) -> float:
    return min(o.time for o in observed if o.time is not None)


class TestSpace:
    def test_constraints_that_contradict_each_other_are_said_in_one_line(self) -> None:
        apart = [constraints.read("BLOCK > 64"), constraints.read("BLOCK < 64")]
        with pytest.raises(SpaceError, match="'BLOCK > 64' and 'BLOCK < 64': they contradict each other"):
            Space.product(PARAMETERS, apart)

    def test_a_space_too_large_to_list_is_drawn_from_and_its_constraints_hold(self) -> None:
        many = tuple(Parameter(f"p{n}", tuple(range(1, 11))) for n in range(8))
        space = Space.product(many, [constraints.read("p0 <= p1")])
        assert space.size is None
        batch = propose(space, (), (), np.random.default_rng(0), 4)
        assert len(set(batch)) == 4
        assert all(c[0] <= c[1] for c in batch)

    def test_of_a_space_too_large_to_list_the_few_legal_configurations_are_found_or_said_not_to_be_there(self) -> None:
        many = tuple(Parameter(f"p{n}", (1, 2, 4, 8, 16, 32, 64, 128)) for n in range(6))
        whole = " * ".join(p.name for p in many)
        space = Space.product(many, [constraints.read(f"{whole} <= 1")])
        assert space.size == 1
        assert propose(space, (), (), np.random.default_rng(0), 2) == [(0,) * 6]
        alike = Space.product(many, [constraints.read("p0 == p1 == p2"), constraints.read("p3 == p4 and p4 == p5")])
        assert alike.size == 64
        with pytest.raises(
            SpaceError, match="the space has no legal configuration: none of 2,000 configurations meets"
        ):
            Space.product(many, [constraints.read(f"{whole} < 1")])

    @pytest.mark.parametrize(
        "text",
        ["a * b <= 12", "a / b > 1.5 or b == 0", "not a % (b - 3) and a < 6", "0 <= a - b < c", "-a // (c - 2) < b",
         "a * 900719925474099 * c > b + 5 * 900719925474099", "name == 'x' and a > b", "name > 1 or a == 2"],
    )  # fmt: skip
    def test_many_configurations_are_tested_as_each_is_by_itself(self, text: str) -> None:
        every = product(range(9), range(5), (0.5, 2, 3.0), "xy")
        rows = [dict(zip(("a", "b", "c", "name"), one, strict=True)) for one in every]
        test = constraints.read(text)
        columns = {n: conditions.column(tuple(row[n] for row in rows)) for n in test.names}
        assert conditions.met(test, columns, len(rows)).tolist() == [test(row) for row in rows]

    @pytest.mark.parametrize("kind", ["ordinal", "categorical"])
    def test_a_parameter_may_have_very_many_values(self, kind: str) -> None:
        space = Space.product([Parameter("long", tuple(range(1, 70_001)), kind), WARPS])
        observed = [Observation((70 * n * n, n % 5), 1.0 + n if n % 7 else None) for n in range(30)]
        (found,) = propose(space, observed, (), np.random.default_rng(0), 1)
        assert space.legal(found)

    @pytest.mark.parametrize(
        ("values_", "kind", "message"),
        [
            ((), "ordinal", "has no values"),
            ((1, 1), "ordinal", "has a value twice"),
            ((2, 1), "ordinal", "must rise"),
            (("a", "b"), "ordinal", "needs finite numbers"),
            ((1, 3), "power-of-two", "needs powers of two"),
        ],
    )
    def test_a_parameter_that_makes_no_sense_is_refused(self, values_: tuple, kind: str, message: str) -> None:
        with pytest.raises(SpaceError, match=message):
            Parameter("p", values_, kind)

    def test_a_table_without_rows_is_refused(self) -> None:
        with pytest.raises(SpaceError, match="no legal configuration"):
            Space.table(PARAMETERS, [])


class TestProposals:
    def test_the_best_is_found_in_a_fraction_of_the_space(self) -> None:
        space = Space.product(PARAMETERS)
        found = [best(search(space, time_of, 40, seed)) for seed in range(2)]
        assert found == [100.0] * 2

    def test_it_proposes_the_same_to_the_same_arguments(self) -> None:
        space = Space.product(PARAMETERS)
        observed = search(space, time_of, 20, 0)
        again = Space.product(PARAMETERS)
        one, other = (propose(s, observed, (), np.random.default_rng(5), 3) for s in (space, again))
        assert one == other

    def test_nothing_is_proposed_twice_and_nothing_that_is_pending(self) -> None:
        space = Space.product((STAGES, ORDER))
        observed = [Observation((0, 0), 5.0), Observation((1, 0), None), Observation((2, 0), 4.0)]
        pending = [(3, 0), (0, 1)]
        batch = propose(space, observed, pending, np.random.default_rng(0), 100)
        assert len(batch) == len(set(batch)) == 12 - 5
        assert not set(batch) & {*pending, *(o.config for o in observed)}

    def test_an_empty_list_says_that_nothing_is_left(self) -> None:
        space = Space.product((STAGES,))
        observed = [Observation((n,), 1.0 + n) for n in range(4)]
        assert propose(space, observed, (), np.random.default_rng(0), 2) == []

    def test_relatives_that_tried_the_same_say_nothing_more(self) -> None:
        space = Space.product((STAGES, ORDER))
        rows = [tuple(row) for row in space.rows.tolist()]
        prior = [Observation(row, 1.0 + n) for n, row in enumerate(rows[:3])]
        for worked in (None, 2.0):
            own = [Observation(rows[0], worked), *(Observation(row, None) for row in rows[1:3])]
            assert len(propose(space, own, (), np.random.default_rng(0), 1, prior)) == 1

    def test_it_learns_to_stay_out_of_where_programs_fail(self) -> None:
        def judge(space: Space, config: Config) -> float | None:
            v = space.values(config)
            return None if v["order"] == "columns" or v["num_stages"] == 4 else time_of(space, config) or 300.0

        space = Space.product(PARAMETERS)
        failed = np.mean([judge(space, tuple(row)) is None for row in space.rows.tolist()])
        late = [o.time is None for seed in range(4) for o in search(space, judge, 35, seed)[10:]]
        assert np.mean(late) < 0.7 * failed  # the fastest that works lies beside what fails

    def test_failures_by_accident_cost_little_more_than_their_evaluations(self) -> None:
        def judge(space: Space, config: Config) -> float | None:
            time = time_of(space, config) or 300.0
            return time if time == 100.0 or np.random.default_rng(config).random() > 0.2 else None

        space = Space.product(PARAMETERS)
        found = [search(space, judge, 50, seed) for seed in range(2)]
        assert [best(observed) for observed in found] == [100.0] * 2
        assert 0 < np.mean([o.time is None for observed in found for o in observed]) < 0.3

    def test_failures_of_one_value_have_a_place_and_scattered_ones_have_none(self) -> None:
        rows = Space.product(PARAMETERS).rows
        assert rows is not None
        seen, asked = rows[::7], rows[3::7]
        apart = np.zeros((len(seen), len(seen)), dtype=np.float32)
        works, placed = failures.chances(seen, asked, apart, apart[: len(asked)], seen[:, 3] == 1)
        assert placed
        assert works[asked[:, 3] == 1].max() < 0.2 < 0.8 < works[asked[:, 3] != 1].min()
        scattered = [np.random.default_rng(n).random(len(seen)) < 0.1 for n in range(21)]
        found = [failures.chances(seen, asked, apart, apart[: len(asked)], failed) for failed in scattered]
        assert sum(placed for _, placed in found) <= 2
        assert np.mean([works.min() for works, _ in found]) > 0.8

    def test_all_failures_do_not_stop_it(self) -> None:
        space = Space.product(PARAMETERS)
        assert len(search(space, lambda space, config: None, 20, 0)) == 20

    def test_relatives_that_are_slower_by_a_factor_teach_where_to_look(self) -> None:
        space = Space.product(PARAMETERS)
        relatives = tuple(
            Observation(o.config, None if o.time is None else 7 * o.time) for o in search(space, time_of, 40, 0)
        )
        alone = np.mean([best(search(space, time_of, 5, seed)) for seed in range(5)])
        taught = np.mean([best(search(space, time_of, 5, seed, relatives)) for seed in range(5)])
        assert taught < 0.9 * alone


def program(block: int, warps: int) -> Candidate:
    source = SOFTMAX.replace("BLOCK=256", f"BLOCK={block}").replace("num_warps=4", f"num_warps={warps}")
    return Candidate(source, "seed", "", (), fingerprint(source), structure(source))


def judged(candidate: Candidate, time_us: float | None) -> Observed:
    return Observed(candidate.source, time_us, candidate.structure)


def context(seed: int, relatives: tuple[Observed, ...] = (), constraints_: tuple[Constraint, ...] = ()) -> Context:
    rng = np.random.default_rng(seed)
    return Context(rng, lambda _: False, "mi300", "hip", relatives, constraints=constraints_)


class TestOperator:
    def test_it_tunes_a_triton_program_to_its_best_knobs(self) -> None:
        parent = program(256, 4)
        relatives = [judged(parent, 50.0)]
        for seed in range(25):
            proposal = KnobTune().propose((parent,), context(seed, tuple(relatives)))
            assert structure(proposal.source) == parent.structure
            now = values(proposal.source)
            off = abs(np.log2(now["softmax_kernel.BLOCK"] / 2048)) + abs(np.log2(now["softmax_kernel.num_warps"] / 8))
            child = Candidate(proposal.source, "knob-tune", "", (), "", parent.structure)
            relatives.append(judged(child, 10.0 + 5 * float(off)))
        assert len({o.source for o in relatives}) == 26
        assert min(o.time_us for o in relatives if o.time_us) <= 15.0

    def test_no_operator_on_knobs_proposes_what_breaks_a_constraint(self) -> None:
        parent, other = program(256, 4), program(32, 16)
        narrow = constraints.read("BLOCK * num_warps <= 1024 and waves_per_eu == 0")
        relatives = (judged(parent, 5.0), judged(other, 6.0), judged(program(64, 8), 4.0))
        for seed in range(8):
            given = context(seed, relatives, (narrow,))
            made = [KnobTune().propose((parent,), given), KnobStep().propose((parent,), given)]
            for now in (values(m.source) for m in made):
                assert now["softmax_kernel.BLOCK"] * now["softmax_kernel.num_warps"] <= 1024
                assert not now["softmax_kernel.waves_per_eu"]

    @pytest.mark.parametrize(
        ("given", "message"),
        [
            (["BLOCK > 64", "BLOCK < 64"], "meets both 'BLOCK > 64' and 'BLOCK < 64': they contradict each other"),
            (["BLOCK > 10000000"], "none of 1,000 configurations meets 'BLOCK > 10000000'"),
            (["BLOK > 1"], "names BLOK, which no launch of plain has together"),
            (["BLOCK >"], "is no condition"),
        ],
    )
    def test_constraints_that_nothing_meets_are_refused_in_one_line(self, given: list[str], message: str) -> None:
        options = [part for one in given for part in ("--constraint", one)]
        done = CliRunner().invoke(main, ["search", "softmax", "--target", "mi300", "--basis", "predicted", *options])
        assert done.exit_code == 2
        assert message in done.stderr
        assert len(done.stderr.strip().splitlines()) == 1

    def test_no_operator_on_knobs_asks_for_a_tile_that_has_no_room_in_registers(self) -> None:
        parent = program(256, 1)
        for seed in range(12):
            for operator in (KnobTune(), KnobStep(jump=1.0)):
                now = values(operator.propose((parent,), context(seed, (judged(parent, 5.0),))).source)
                assert now["softmax_kernel.BLOCK"] <= 256 * 64 * now["softmax_kernel.num_warps"]
        assert not fits(program(8192, 1).source, "cuda")
        assert fits(program(8192, 2).source, "cuda")
        assert fits(program(8192, 1).source, "hip")
        tiles = re.sub(r"(BLOCK_[MN])=\d+", r"\1=256", re.sub(r"num_warps=\d+", "num_warps=16", PRODUCT))
        assert not fits(tiles, "cuda")
        assert fits(tiles.replace("BLOCK_N=256", "BLOCK_N=128"), "cuda")

    def test_what_a_relative_lacks_stands_where_the_program_has_it(self) -> None:
        seed = load("softmax").seeds[0].source
        plain = Candidate(seed, "seed", "", (), fingerprint(seed), structure(seed))
        rowed = apply(read(seed), list(next(f for f in FAMILIES if f.name == "rows-per-program").sites(read(seed))))
        tuning = Tuning(rowed, "hip", [judged(plain, 7.0)], structure(rowed))
        (taught,) = tuning.observed(structure(rowed), others=True)
        assert taught.time == 7.0
        assert tuning.space.values(taught.config)["softmax_kernel.ROWS_PER_PROGRAM"] == 4
        assert tuning.observed(structure(rowed)) == []

    def test_an_option_left_out_stands_at_its_default(self) -> None:
        tuning = Tuning(program(256, 4).source, "hip")
        config = tuning.config(program(256, 4).source)
        assert tuning.space.values(config)["softmax_kernel.waves_per_eu"] == 0
        assert tuning.changes(config) == {}

    def test_a_value_that_only_a_relative_has_is_in_the_space(self) -> None:
        odd = program(256, 32)
        tuning = Tuning(program(256, 4).source, "hip", [judged(odd, 1.0)])
        assert tuning.space.values(tuning.config(odd.source))["softmax_kernel.num_warps"] == 32

    def test_a_program_without_knobs_gives_a_proposal_error(self) -> None:
        bare = Candidate("x = 1", "seed", "", (), fingerprint("x = 1"), structure("x = 1"))
        with pytest.raises(ProposalError, match="no knobs"):
            KnobTune().propose((bare,), context(0))


@pytest.mark.parametrize(("backend", "first"), [("cuda", (128, 128, 64, 8, 3)), ("hip", (128, 128, 64, 8, 2))])
def test_tuning_a_product_begins_with_settings_that_do_well_and_that_nobody_tried(
    backend: str, first: tuple[int, ...]
) -> None:
    source = load("gemm_fp16").seeds[0].source
    parent = Candidate(source, "seed", "", (), fingerprint(source), structure(source))
    made: list[Candidate] = []
    for number in range(5):
        waiting = tuple(one.source for one in made[2:])  # two were judged, the rest are being judged
        known = tuple(Observed(one.source, 100.0 + at, parent.structure) for at, one in enumerate(made[:2]))
        rng = np.random.default_rng(number)
        given = Context(rng, {m.fingerprint for m in made}.__contains__, "a chip", backend, known, waiting)
        tuned = KnobTune().propose((parent,), given)
        made.append(Candidate(tuned.source, "knob-tune", "", (), fingerprint(tuned.source), parent.structure))
    keys = ("BLOCK_M", "BLOCK_N", "BLOCK_K", "num_warps", "num_stages")
    stood = [tuple(values(one.source)[f"gemm_kernel.{key}"] for key in keys) for one in made]
    assert stood[0] == first
    assert tuple(stood[:4]) == SETTINGS[backend]
    assert stood[4] not in SETTINGS[backend]
    plain = load("softmax").seeds[0].source
    assert not list(Tuning(plain, backend).starts(backend))


def test_a_search_of_a_product_asks_the_tuner_first_and_of_anything_else_as_it_draws() -> None:
    asked = {}
    for task in ("gemm_fp16", "flip"):
        source = load(task).seeds[0].source
        search = Search(3, 8, 4, rules=Rules(operators=("rewrite", "knob-step", "knob-tune")))
        search.tell(Proposed(0, Candidate(source, "seed", "", (), fingerprint(source), structure(source))))
        case = CaseResult("all", 100.0, 0.1, 0.1, "memory")
        search.tell(Judged(0, Evaluation("h200", Basis.PREDICTED, "process", None, (case,))))
        asked[task] = []
        for number in range(12):
            (request,) = search.ask(1)
            asked[task].append(request.operator)
            child = Candidate(source, request.operator, "", (request.parents[0].id,), str(number), structure(source))
            search.tell(Proposed(request.number, child))
    assert asked["gemm_fp16"][:4] == ["knob-tune"] * 4
    assert len(set(asked["gemm_fp16"][4:])) > 1
    assert asked["flip"][:4] != ["knob-tune"] * 4


def test_a_product_without_knobs_is_left_to_the_other_operators() -> None:
    source = load("gemm_fp16").seeds[0].source
    search = Search(3, 8, 4, rules=Rules(operators=("rewrite", "knob-step", "knob-tune")))
    search.tell(Proposed(0, Candidate(source, "seed", "", (), fingerprint(source), structure(source))))
    case = CaseResult("all", 100.0, 0.1, 0.1, "memory")
    search.tell(Judged(0, Evaluation("h200", Basis.PREDICTED, "process", None, (case,))))
    asked = []
    for _ in range(40):
        (request,) = search.ask(1)
        asked.append(request.operator)
        search.tell(Refused(request.number, request.operator, (request.parents[0].id,), "it has no knobs"))
    assert asked[0] == "knob-tune"
    assert set(asked) == {"rewrite", "knob-step", "knob-tune"}
