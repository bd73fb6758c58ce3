"""Launchers that choose between two programs by shape: what tells cases apart, what the file holds, and that it runs."""

import ast

import numpy as np
import pytest

from archives.candidate import Candidate, fingerprint
from evo_kernel import bandit
from evo_kernel.rules import Rules
from fitness.judge import Judge
from operators.catalogue import DISPATCH, KNOBS, STRUCTURAL
from operators.knobs import rewrite, structure
from operators.proposal import Context, ProposalError, Timed
from operators.rewrites import conditions
from operators.rewrites.dispatch import Dispatch
from operators.rewrites.joining import CannotJoin, join
from suites import load
from suites.task import Case, Input

pytestmark = pytest.mark.usefixtures("shared_jails")

SOFTMAX = load("softmax")
SEED = SOFTMAX.seeds[0].source
WIDE = rewrite(SEED, {"softmax_kernel.BLOCK": 1024})
OTHER = SEED.replace("tl.exp(", "tl.math.exp(")


def candidate(source: str) -> Candidate:
    return Candidate(source, "seed", "", (), fingerprint(source), structure(source))


def context(here: dict[str, float], there: dict[str, float], known: frozenset[str] = frozenset()) -> Context:
    timed = Timed(SOFTMAX.entry, SOFTMAX.cases, (here, there))
    return Context(np.random.default_rng(0), known.__contains__, "mi300", "hip", timed=timed)


def times(fast: str) -> dict[str, float]:
    """Return times that are short in the cases whose names hold a word."""
    return {c.name: 10.0 if fast in c.name else 20.0 for c in SOFTMAX.cases}


def test_a_launcher_takes_each_parents_way_where_that_is_faster_and_the_judge_passes_it() -> None:
    here = {name: 30.0 - time for name, time in times("781").items()}
    proposal = Dispatch().propose((candidate(SEED), candidate(OTHER)), context(here, times("781")))
    assert "where x.shape[1] < 1024, else" in proposal.intent
    tree = ast.parse(proposal.source)
    assert [n.name for n in tree.body if isinstance(n, ast.FunctionDef)] == [
        "softmax_kernel", "softmax_2", "softmax_kernel_2", "softmax_3", "softmax",
    ]  # fmt: skip
    judge = Judge(SOFTMAX, "mi300")
    try:
        assert judge.judge(proposal.source, SOFTMAX.cases[:2]).failure is None
    finally:
        judge.close()


def test_what_two_programs_have_in_common_stands_in_the_file_once() -> None:
    joined = join(SEED, WIDE, "softmax")
    assert joined.text.count("def softmax_kernel") == 1
    assert joined.text.count("import triton\n") == 1
    assert joined.text.startswith(SEED[: SEED.index("def softmax(")])
    again = join(joined.text.replace(joined.first, "softmax"), OTHER, "softmax")
    assert len({n.name for n in ast.walk(ast.parse(again.text)) if isinstance(n, ast.FunctionDef)}) == 5


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("def softmax(*x):\n    return x\n", "takes more than plain parameters"),
        ("softmax = 1\n", "does not define softmax by def"),
        ("def softmax(x):\n", "cannot be read"),
        ("def softmax(x):\n    return x\nprint(1)\n", "line 3 of a program neither defines nor imports"),
        ("B = 2\n\ndef softmax(B):\n    return B\n", "a parameter hides B"),
    ],
)
def test_programs_that_cannot_share_a_file_are_refused_in_one_line(source: str, message: str) -> None:
    with pytest.raises(CannotJoin, match=message.replace("*", r"\*")):
        join(SEED, source, "softmax")
    with pytest.raises(ProposalError, match="cannot be joined"):
        Dispatch().propose((candidate(SEED), candidate(source)), context(times("781"), times("781")))


def test_conditions_tell_cases_apart_by_size_dtype_and_order_and_name_no_odd_size() -> None:
    cases = tuple(
        Case(name, {"x": Input(shape, dtype, order=order)}, flops=1, bytes=1)
        for name, shape, dtype, order in (
            ("a", (4096, 4099), "float32", None),
            ("b", (4096, 8192), "float16", None),
            ("c", (64, 8192), "float16", (1, 0)),
        )
    )
    found = {c.text: c.holds for c in conditions.conditions(["x"], cases)}
    assert found["x.shape[0] < 4096"] == (False, False, True)
    assert found["x.shape[1] % 16 == 0"] == (False, True, True)
    assert not any("4099" in text or "64" in text for text in found)
    every = list(conditions.conditions(["x"], cases))
    assert conditions.best(every, [9.0, 1.0, 1.0], [1.0, 9.0, 9.0])[0][0].text == "x.shape[1] < 8192"
    assert conditions.best(every, [1.0, 9.0, 1.0], [9.0, 1.0, 9.0]) == []


def test_without_a_second_program_that_helps_there_is_nothing_to_choose() -> None:
    with pytest.raises(ProposalError, match="no condition on shapes"):
        Dispatch().propose((candidate(SEED), candidate(WIDE)), context(times("fp16"), times("fp16")))
    with pytest.raises(ProposalError, match="nothing is known of the times"):
        Dispatch().propose((candidate(SEED), candidate(WIDE)), Context(np.random.default_rng(0), bool, "mi300", "hip"))


def test_it_has_a_small_share_of_requests_and_only_where_it_is_named() -> None:
    shares = bandit.shares(Rules(operators=(*STRUCTURAL, *KNOBS)), crosses=True, tunes=True)
    assert shares[DISPATCH] == bandit.DISPATCHED
    assert sum(shares.values()) == pytest.approx(1.0)
    assert DISPATCH not in bandit.shares(Rules(operators=KNOBS), crosses=True, tunes=True)


def test_programs_are_joined_when_they_are_as_good_as_they_get_and_as_often_in_all() -> None:
    shares = bandit.shares(Rules(operators=(*STRUCTURAL, *KNOBS)), crosses=True, tunes=True)
    before, after = bandit.due(shares, settled=False), bandit.due(shares, settled=True)
    assert DISPATCH not in before
    assert sum(before.values()) == pytest.approx(1.0)
    assert after[DISPATCH] * bandit.JOINING == pytest.approx(bandit.DISPATCHED)
    assert sum(after.values()) == pytest.approx(1.0)
    assert bandit.due({"rewrite": 1.0}, settled=True) == {"rewrite": 1.0}
