"""What is made of timings: intervals that cover the truth as often as they say, and what may be called a gain."""

import math
import random
from pathlib import Path

import numpy as np
import pytest

from fitness.gpu import bench, clock, throttle
from fitness.gpu.clock import Ratio
from fitness.gpu.court import Clocked
from fitness.gpu.throttle import Reading


def test_an_interval_covers_the_median_as_often_as_it_says() -> None:
    rng = np.random.default_rng(0)
    for n in (12, 40):
        samples = rng.lognormal(0.0, 0.02, (2000, n))
        covered = sum(t.low <= 1.0 <= t.high for t in (clock.timing(list(s)) for s in samples))
        assert covered / 2000 >= 0.945, n


def test_equal_programs_are_rarely_called_different_and_two_percent_nearly_always() -> None:
    rng = np.random.default_rng(1)
    called = {1.0: 0, 1.02: 0}
    for _ in range(400):
        drift = rng.normal(0, 0.05)  # common to a pair: what pairing is for
        for factor in called:
            one = np.exp(rng.normal(drift, 0.01, 40)) * factor
            other = np.exp(rng.normal(drift, 0.01, 40))
            found = clock.ratio(list(one), list(other))
            called[factor] += found.faster(0.01) or found.slower(0.01)
    assert called[1.0] / 400 <= 0.05
    assert called[1.02] / 400 >= 0.95


@pytest.mark.parametrize("programs", [2, 3])
def test_a_device_that_is_slow_at_times_does_not_move_the_ratio_of_equal_programs(programs: int) -> None:
    """The first round is slow, nearly to its end, as on an H200 after a pause; pairs on one group alone would differ."""
    rng, worst, plain = random.Random(3), 0.0, 0.0
    for _ in range(50):
        groups = 12 * programs
        samples = [[[0.0] * groups] for _ in range(programs)]
        for turn in range(programs):
            order = bench._order(groups, programs, rng)
            slow = 0 if turn else rng.randrange(groups - 4, len(order))
            assert sorted(g for g in order if g >= 0) == list(range(groups))
            for place, group in enumerate(order):
                if group >= 0:
                    took = (1.05 if place < slow else 1.0) * (1 + group / groups) * rng.lognormvariate(0, 0.001)
                    samples[(group + turn) % programs][0][group] = took
        own, other, *_ = Clocked(samples, [[1.0]], [""]).times()
        assert len(own) == 12
        worst = max(worst, abs(clock.ratio(own, other).value - 1))
        plain = max(plain, abs(clock.ratio(samples[0][0], samples[1][0]).value - 1))
    assert worst < 0.002
    assert plain > 0.01 or programs > 2


def test_a_few_samples_give_the_widest_interval_there_is() -> None:
    found = clock.timing([3.0, 1.0, 2.0])
    assert (found.low, found.median, found.high, found.samples) == (1.0, 2.0, 3.0, 3)


def test_pairs_of_unequal_number_are_a_mistake() -> None:
    with pytest.raises(ValueError, match="zip"):
        clock.ratio([1.0, 2.0], [1.0])


def test_several_processes_are_never_surer_than_they_agree() -> None:
    parts = [Ratio(0.90, 0.899, 0.901, 50), Ratio(0.94, 0.939, 0.941, 50)]
    pairs = [(0.90, 1.0)] * 50 + [(0.94, 1.0)] * 50
    found = clock.pooled(parts, pairs)
    assert found.low <= 0.90
    assert found.high >= 0.94
    assert found.pairs == 100


def test_a_gain_inside_the_noise_of_the_device_is_no_gain() -> None:
    assert not Ratio(0.995, 0.990, 0.999, 40).faster(0.01)
    assert Ratio(0.98, 0.97, 0.99, 40).faster(0.01)
    assert not Ratio(0.98, 0.95, 1.01, 40).faster(0.01)
    assert Ratio(1.05, 1.02, 1.07, 40).slower(0.01)


def test_a_cycle_in_which_the_clocks_moved_is_left_out() -> None:
    assert clock.steady([[10.0, 10.1], [10.0, 10.0], [12.0, 12.1], [9.9, 10.0]]) == [True, True, False, True]


def test_cycles_that_mostly_disagree_are_all_left_out() -> None:
    assert clock.steady([[10.0, 10.0], [14.0, 14.0], [18.0, 18.0]]) == [False, False, False]


def test_the_median_of_ratios_is_that_of_their_logarithms() -> None:
    found = clock.ratio([2.0, 8.0, 4.0], [1.0, 1.0, 1.0])
    assert math.isclose(found.value, 4.0)


def test_what_holds_the_units_clock_down_is_told() -> None:
    fast, slow, idle, capped = Reading(1980), Reading(1700), Reading(1980, 0x1), Reading(1700, 0x4)
    assert throttle.between(fast, Reading(1980, 0x20)) == "it is too hot"
    assert throttle.between(Reading(1980, 0x80), fast) == "its power brake"
    assert "fell from 1980 to 1700 MHz" in throttle.between(fast, slow)
    assert "fell from 1980 to 1700 MHz" in throttle.between(fast, capped)
    for before, after in (
        (fast, fast), (slow, fast), (capped, capped), (fast, Reading(1700, 0x1)), (idle, idle),
        (fast, Reading(1950, 0x4)), (None, slow), (slow, None),
    ):  # fmt: skip
        assert throttle.between(before, after) == "", (before, after)


def test_amds_clock_is_read_where_the_kernel_driver_tells_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(throttle, "_DEVICES", tmp_path)
    missing = throttle.watch("hip", "00000001:02:00.0")
    assert isinstance(missing, throttle.Unwatched)
    assert "0001:02:00.0/pp_dpm_sclk" in missing.why
    assert missing.read() is None
    folder = tmp_path / "0001:02:00.0"
    folder.mkdir()
    (folder / "pp_dpm_sclk").write_text("0: 132Mhz\n1: 2091Mhz *\n")
    assert throttle.watch("hip", "00000001:02:00.0").read() == Reading(2091)


def test_a_machine_without_the_vendors_library_judges_unwatched(monkeypatch: pytest.MonkeyPatch) -> None:
    def none(name: str) -> None:
        raise OSError(f"{name}: cannot open shared object file")

    monkeypatch.setattr(throttle.ctypes, "CDLL", none)
    found = throttle.watch("cuda", "0000:01:00.0")
    assert isinstance(found, throttle.Unwatched)
    assert "libnvidia-ml.so.1" in found.why


def test_cycles_in_which_the_clock_was_held_down_are_left_out() -> None:
    anchors = [[30.0, 30.1]] * 4
    assert Clocked([], anchors, ["", "it is too hot", "", ""]).kept == [True, False, True, True]
    assert not any(Clocked([], anchors, ["it is too hot"] * 4).kept)
