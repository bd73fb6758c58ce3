"""The published measures, against values worked out by hand."""

import pytest

from evo_kernel import metrics
from evo_kernel.metrics import Result

# right and faster: 3x on one test, 1x on the other; right and slower: 0.5x; runs and is wrong; does not run
RESULTS = (
    Result("a", True, True, ((6.0, 2.0), (4.0, 4.0)), samples=4, correct=2, held_out="both-pass"),
    Result("b", True, True, ((1.0, 2.0),), samples=5, correct=1, held_out="regression"),
    Result("c", True, False, samples=3, correct=0, held_out="both-fail"),
    Result("d", False, False),
)


def test_accuracies_are_shares_of_all_tasks() -> None:
    assert metrics.call_accuracy(RESULTS) == 3 / 4
    assert metrics.execution_accuracy(RESULTS) == 2 / 4
    assert metrics.call_accuracy(()) is None


def test_geaks_speedup_is_the_mean_of_ratios_over_the_tests_of_what_passes() -> None:
    assert [metrics.speedup(r) for r in RESULTS] == [2.0, 0.5, None, None]
    assert metrics.mean_speedup(RESULTS) == 1.25
    broken = Result("e", True, False, ((9.0, 1.0),))
    assert metrics.speedup(broken) is None


@pytest.mark.parametrize(("p", "share"), [(0.4, 2 / 4), (0.5, 1 / 4), (1.0, 1 / 4), (10 / 6, 0.0)])
def test_fast_p_counts_right_programs_above_p_among_all_tasks(p: float, share: float) -> None:
    assert metrics.fast_p(RESULTS, p) == share


def test_pass_at_k_is_the_unbiased_estimate() -> None:
    assert metrics.pass_at_k(4, 2, 2) == pytest.approx(1 - 1 / 6)  # one of the six pairs has no right one
    assert metrics.pass_at_k(5, 1, 1) == pytest.approx(1 / 5)
    assert metrics.pass_at_k(3, 3, 3) == 1.0
    assert metrics.pass_at_k(3, 1, 4) is None
    assert metrics.mean_pass_at_k(RESULTS, 1) == pytest.approx((1 / 2 + 1 / 5 + 0 + 0) / 4)  # one task made nothing
    some = [
        Result("a", True, True, samples=5, correct=5),
        Result("b", True, False, samples=40),
        Result("c", False, False),
    ]
    assert [metrics.mean_pass_at_k(some, k) for k in (1, 5, 10)] == pytest.approx([1 / 3] * 3)
    assert metrics.mean_pass_at_k([], 1) is None
    with pytest.raises(ValueError, match="not defined"):
        metrics.pass_at_k(1, 2, 1)


def test_the_held_out_rate_asks_only_where_the_first_program_passes() -> None:
    assert metrics.held_out_rate(RESULTS) == 1 / 2
    assert [metrics.quadrant(b, a) for b in (True, False) for a in (True, False)] == [
        "both-pass", "regression", "improvement", "both-fail",
    ]  # fmt: skip


def test_times_that_are_none_are_refused() -> None:
    with pytest.raises(ValueError, match="finite and positive"):
        Result("a", True, True, ((1.0, 0.0),))
