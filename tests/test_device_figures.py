"""What the benchmarks of judging print of a GPU, held to what is promised: the clock, also beside a neighbour, and faults."""

import os
import sys
from pathlib import Path

import pytest

from fitness.gpu import discover

pytestmark = [pytest.mark.gpu, pytest.mark.timeout(300)]
BENCHMARKS = str(Path(__file__).parent.parent / "benchmarks")
COMPARISONS = 40


@pytest.fixture(autouse=True)
def benchmarks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(BENCHMARKS)
    # builders start as fresh interpreters, which must find the benchmarks too
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([BENCHMARKS, *sys.path]))


def test_the_clock_knows_equal_programs_and_two_percent_more_work_while_another_judge_verifies() -> None:
    from judging_clock import clock

    target = discover.own_target()
    assert target is not None
    found = clock(target, COMPARISONS, beside=True)
    for case, time_us, percentile, different, count in found["equal"]:
        assert percentile <= (0.03 if time_us < 5 else 0.01), case
        assert different <= 0.05 * count, case
    assert all(called >= 0.95 * count for _, _, called, count in found["slower"])
    assert found["verified_beside"] > COMPARISONS


def test_a_faulty_program_in_ten_fails_alone_and_leaves_nothing_behind() -> None:
    from judging_faults import FAULTS, faults

    target = discover.own_target()
    assert target is not None
    found = faults(target, 8, 10 * len(FAULTS))  # every kind once
    assert found["wrong"] == []
    assert found["faulty"] == len(FAULTS)
    assert found["device_faults"] >= 4
    assert found["slowest_next_verdict_s"] < 5
    assert found["zombies"] == 0
    assert found["memory_after_mib"] <= found["memory_before_mib"] + 16
