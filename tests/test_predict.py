"""Predicted times of launches whose terms are worked out by hand, on a chip with round figures."""

from dataclasses import replace

import pytest

from fitness import predict, roofline
from fitness.evaluation import Resources
from fitness.passed import Pointer
from fitness.plan import Buffer, KernelSpec, LaunchPlan, Variant
from fitness.predict import Prediction, Work
from fitness.targets import Target
from suites import Case, Input

# 100 units of 4 schedulers at 1 GHz: 1e5 clocks of a unit in a microsecond; 1000 GB/s are 1e6 bytes in one
CHIP = Target("round", "hip", "gfx942", 64, 100, 4, 8, 512, 8, 65536, 1.0, 1000, 4000, 10.0, {"bfloat16": 100.0}, 1)
FIGURES = Resources("k", 32, 30, 0, 0, 0, 4, 8, 0, 4.0, "code")
# 50 of 200 programs; nothing but one access each, unless a test says more
WORK = Work(50, 50, 0, 0, 0, 0, 0, 0, 0, "bf16", (0.0, 0.0, 0.0))
WAITING = 0.5 + 0.3  # of one round of programs: its start, and an access that the cache answers
RAMP = 1.0


def microseconds(
    work: Work = WORK, figures: Resources = FIGURES, programs: int = 200, held: int = 1 << 30
) -> Prediction:
    """Predict a launch of so many programs on one buffer."""
    plan = LaunchPlan((Buffer(held, "float32"),), (), ())
    variant = Variant(KernelSpec("k", "k", (), (), (), None), (programs, 1, 1))
    return predict.launch(plan, [("x", Pointer(0, 0))], variant, work, figures, CHIP)


def joined(*terms: float) -> float:
    return sum(t**4 for t in terms) ** 0.25 + RAMP


def test_a_launch_that_does_nothing_waits_for_its_programs() -> None:
    assert microseconds().time_us == pytest.approx(joined(WAITING))
    assert microseconds().bound == "launch"


def test_bytes_of_the_samples_stand_for_all_programs() -> None:
    work = replace(WORK, line_bytes=10_000_000)  # 40 MB: 40 us from memory, 10 us through the cache
    found = microseconds(work)
    # all lines come from memory as far as its rate goes: 40 us of it at 1000 GB/s are as many bytes as 10 us at 4000
    assert found.time_us == pytest.approx(joined(40.0, 10.0, 0.5 + 0.7))
    assert found.bound == "memory"


def test_lines_that_are_read_again_come_from_the_cache() -> None:
    work = replace(WORK, line_bytes=10_000_000)
    assert microseconds(work, held=4_000_000).time_us == pytest.approx(joined(4.0, 10.0, 0.5 + 0.3 + 0.4 * 0.1))


def test_narrow_accesses_and_spills_cost_instructions() -> None:
    work = replace(WORK, load_bytes=8_000_000, store_bytes=8_000_000)  # 64 MB in all, at 64 B of a unit's clock
    assert microseconds(work).time_us == pytest.approx(joined(10.0, WAITING))
    half = replace(FIGURES, load_bytes=2.0)
    assert microseconds(work, half).time_us == pytest.approx(joined(20.0, WAITING))
    spilling = replace(FIGURES, spills=16)  # half as many as it has: half as much again
    assert microseconds(work, spilling).time_us == pytest.approx(joined(15.0, WAITING))


def test_units_with_a_program_more_than_others_end_last() -> None:
    work = replace(WORK, load_bytes=16_000_000)
    even, uneven = microseconds(work, programs=200), microseconds(work, programs=201)
    assert even.time_us == pytest.approx(joined(10.0, WAITING))
    assert uneven.time_us == pytest.approx(joined(10.0 * 201 / 200 * (300 / 201), WAITING))


def test_vector_work_matrix_work_and_shared_memory_have_rates_of_their_own() -> None:
    lanes = 64 * 1e5  # operations in a microsecond
    work = replace(WORK, elements=int(lanes), transcendentals=int(lanes))  # four times as much each, of 200 programs
    assert microseconds(work).time_us == pytest.approx(joined(4.0 + 16.0, WAITING))
    work = replace(WORK, dot_flops=250_000_000)  # 1e9 of all: 10 us of 100 TFLOP/s, or 100 without matrix units
    assert microseconds(work, replace(FIGURES, matrix_ops=1)).time_us == pytest.approx(joined(10.0, WAITING))
    assert microseconds(work).time_us == pytest.approx(joined(100.0, WAITING))
    work = replace(WORK, dot_bytes=16_000_000)  # 64 MB, twice as much for four waves, at 128 B of a unit's clock
    assert microseconds(work).time_us == pytest.approx(joined(10.0, WAITING))


def test_programs_that_do_not_fit_at_once_wait_in_rounds() -> None:
    few = replace(FIGURES, occupancy=1)  # one program of four waves on a unit's four schedulers
    assert microseconds(figures=few, programs=300).time_us == pytest.approx(joined(3 * WAITING))
    assert microseconds(figures=replace(FIGURES, occupancy=0)).bound == "does not fit"


def case(dtype: str = "float32", flops: int = 0, size: int = 1_000_000) -> Case:
    return Case("c", {"x": Input((4,), dtype)}, flops, size)


def test_launches_add_up_with_what_lies_between_them() -> None:
    launches = [Prediction(5.0, "memory"), Prediction(7.0, "vector"), Prediction(2.0, "launch")]
    assert predict.total_us(launches, case(), CHIP) == pytest.approx(14.0 + 2 * 1.5)
    assert predict.total_us(launches[:1], case(), CHIP) == pytest.approx(5.0)
    assert predict.total_us(launches[:1], case(size=80_000_000), CHIP) == pytest.approx(80.0), "the roofline"


@pytest.mark.parametrize(
    ("dtype", "rate"),
    [("bfloat16", 100.0), ("float16", 10.0), ("float32", 50.0)],  # float32: of two products of bfloat16
)
def test_the_roofline_is_at_the_highest_rate_of_a_dtype(dtype: str, rate: float) -> None:
    found = roofline.roofline(case(dtype, flops=10**9, size=1), roofline.of_sheet(CHIP))
    assert (found.bound, found.time_us) == ("matrix", pytest.approx(1e9 / (rate * 1e6)))
