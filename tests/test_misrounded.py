"""Where a task says that sums are exact, what is rounded to 16 bits before the end is refused, and nothing honest is."""

import math
from collections.abc import Callable
from dataclasses import replace

import msgpack
import numpy as np
import pytest
import torch
from test_tolerance import judge

from fitness import lint, tolerance, yardstick
from fitness.tolerance import Yardstick
from suites import Input, Task, TaskError, load, names, read
from suites.inputs import NUMBERS, on_device, tensor
from suites.loading import functions
from suites.task import pack, unpack
from suites.trials import Trial, draw, few, interpretable, trials

TASK = load("fp8_gemm_scaled")
FLOAT8 = ("float8_e4m3fn", "float8_e5m2")
TOLD = "% of elements are not the correctly rounded result where sums are exact (1% may be otherwise)"

Operands = tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]
Program = Callable[..., torch.Tensor]


def whole(case: str, small: bool = True) -> Trial:
    """Return the trial in which the sums of a case are exact."""
    (found,) = [t for t in trials(TASK, TASK.case(case), small) if t.name == "whole"]
    return found


def given(trial: Trial, seed: int = 3) -> tuple[Operands, Yardstick]:
    values = draw(trial, seed)
    (want,) = yardstick.compute(functions(TASK), values, trial, seed=seed)
    a, b, scale_a, scale_b = values.values()
    return (a.float(), b.float().T, scale_a[:, None], scale_b[None, :]), want


def parts(a: torch.Tensor, b: torch.Tensor) -> list[torch.Tensor]:
    return [x @ y for x, y in zip(a.chunk(3, 1), b.chunk(3, 0), strict=True)]


def one_by_one(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    total = torch.zeros(a.shape[0], b.shape[1])
    for k in range(a.shape[1]):
        total += a[:, k, None] * b[k]
    return total


def on_a_unit_of_13_bits(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Add 32 products at a time, each and the sum cut 13 bits behind the first of the largest, as Hopper's units do."""
    total = torch.zeros((a.shape[0], b.shape[1]), dtype=torch.float64)
    for start in range(0, a.shape[1], 32):
        made = a[:, start : start + 32, None].double() * b[None, start : start + 32].double()
        largest = torch.maximum(made.abs().amax(1), total.abs()).clamp(min=1e-300)
        unit = torch.ldexp(torch.ones_like(largest), torch.frexp(largest).exponent - 14)
        total = ((made / unit[:, None]).trunc().sum(1) + (total / unit).trunc()) * unit
    return total.float()


def low(x: torch.Tensor, dtype: torch.dtype = torch.bfloat16) -> torch.Tensor:
    return x.to(dtype).float()


HONEST: dict[str, Program] = {
    "scales in turn": lambda a, b, s, t: (a @ b) * s * t,
    "the other scale first": lambda a, b, s, t: (a @ b) * t * s,
    "scales multiplied": lambda a, b, s, t: (a @ b) * (s * t),
    "operands scaled": lambda a, b, s, t: (a * s) @ (b * t),
    "operands scaled, one product after another": lambda a, b, s, t: one_by_one(a * s, b * t),
    "split": lambda a, b, s, t: sum(parts(a, b)) * s * t,
    "split, each part scaled": lambda a, b, s, t: sum(p * s * t for p in parts(a, b)),
    "a matrix unit": lambda a, b, s, t: on_a_unit_of_13_bits(a, b) * s * t,
    "float64": lambda a, b, s, t: (a.double() @ b.double()) * s * t,
}
TWICE: dict[str, Program] = {
    "the sum": lambda a, b, s, t: low(a @ b) * s * t,
    "a scaled sum": lambda a, b, s, t: low((a @ b) * s) * t,
    "the scales": lambda a, b, s, t: (a @ b) * low(s) * low(t),
    "the scales' product": lambda a, b, s, t: (a @ b) * low(s * t),
    "parts of the sum": lambda a, b, s, t: sum(low(p) for p in parts(a, b)) * s * t,
    "scaled parts": lambda a, b, s, t: sum(low(p * s * t) for p in parts(a, b)),
    "scaled operands": lambda a, b, s, t: low(a * s) @ low(b * t),
    "scaled operands in float16": lambda a, b, s, t: low(a * s, torch.float16) @ low(b * t, torch.float16),
}


@pytest.mark.parametrize("case", [c.name for c in (*TASK.cases, *TASK.held_out)])
def test_no_honest_order_comes_near_the_limit_and_every_second_rounding_is_far_beyond_it(case: str) -> None:
    operands, want = given(whole(case))
    host = yardstick.on_host(want)
    for name, program in HONEST.items():
        verdict = judge(program(*operands).bfloat16(), (host,))
        assert verdict.ratio < 0.5, (name, verdict.complaint)
    for name, program in TWICE.items():
        verdict = judge(program(*operands).bfloat16(), (host,))
        assert verdict.ratio > 1.5, name
        assert TOLD in verdict.complaint or "times the limit" in verdict.complaint
        without = judge(program(*operands).bfloat16(), (replace(host, misrounded=None),))
        assert without.ratio < verdict.ratio / 2


def test_sums_as_deep_as_those_that_are_timed_are_exact_too() -> None:
    deep = whole("1x8192x16384-e4m3-offset", small=False)
    shapes = {"a": (8, 16384), "b": (48, 16384), "scale_a": (8,), "scale_b": (48,)}
    cut = {n: replace(i, shape=shapes[n]) for n, i in deep.arguments.items() if isinstance(i, Input)}
    (a, b, *scales), want = given(replace(deep, arguments=cut))
    exact = a.double() @ b.double()
    assert 3000 < float(exact.square().mean().sqrt()) < 6000
    assert float((exact.abs() >= 2**14).double().mean()) < 0.01
    assert float((on_a_unit_of_13_bits(a, b) != exact).double().mean()) < 0.01
    assert torch.equal(one_by_one(a, b), exact.float())
    for name in HONEST:
        assert yardstick.ratio(want, HONEST[name](a, b, *scales).bfloat16())[0] < 0.5
    for program in TWICE.values():
        assert yardstick.ratio(want, program(a, b, *scales).bfloat16())[0] > 5.0


def test_what_limits_on_errors_cannot_tell_is_refused_in_words() -> None:
    operands, want = given(whole("3001x5003x2000-e5m2-signs"))
    output = TWICE["the sum"](*operands).bfloat16()
    verdict = judge(output, (yardstick.on_host(want),))
    assert TOLD in verdict.complaint
    assert "so something is rounded before the end: " in verdict.complaint
    assert "elements are wrong, the first at [" in verdict.complaint
    assert verdict.ratio == pytest.approx(yardstick.ratio(want, output)[0], rel=1e-9)
    assert judge(output, (replace(yardstick.on_host(want), misrounded=None),)).ratio < 1.0
    zeros = judge(torch.zeros_like(output), (yardstick.on_host(want),))
    assert "times the limit" in zeros.complaint, "what is wrong altogether is told so"


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_an_element_is_missed_where_it_is_not_its_truth_rounded_to_nearest(dtype: str) -> None:
    kind, generator = getattr(torch, dtype), torch.Generator().manual_seed(1)
    truth = torch.rand(4096, dtype=torch.float64, generator=generator) + 2.0 ** torch.arange(-6, 10).repeat(256)
    right = truth.to(kind)
    up = torch.nextafter(right, torch.tensor(math.inf, dtype=kind))
    for output, expected in ((right, 0), (up, 4096)):
        off = (output.double() - truth).abs()
        here = tolerance.misrounded(off, truth.abs(), dtype, (torch.int64, torch.float64))
        there = tolerance.misrounded(off.numpy(), truth.abs().numpy(), dtype, (np.int64, np.float64))
        assert int(here.sum()) == int(there.sum()) == expected
    none = torch.zeros(3, dtype=torch.float64)
    assert not tolerance.misrounded(none + 1e-3, none, dtype, (torch.int64, torch.float64)).any(), "terms cancel out"


def test_what_is_as_wide_as_honest_work_is_not_counted() -> None:
    trial = Trial("whole", "c", {}, misrounded=0.01)
    values = {"x": torch.full((4, 70), 3.0)}
    narrow, wide = (
        yardstick.compute(functions(read(ROWS.format(dtype=d, small="(70, 9)"), "rows")), values, trial)[0].misrounded
        for d in ("float16", "float32")
    )
    assert (narrow, wide) == (0.01, None)


def test_few_elements_may_be_rounded_otherwise_by_chance() -> None:
    _, want = given(whole("1x1x1-e4m3"))
    right = want.truth.bfloat16()
    next_one = torch.nextafter(right, torch.full_like(right, math.inf))
    assert yardstick.ratio(want, next_one)[0] <= 1.0
    assert [want.excess(n, size) > 1.0 for n, size in ((4, 1), (5, 1), (14, 1000), (15, 1000))] == [False, True] * 2


@pytest.mark.parametrize("dtype", [*FLOAT8, "float16", "bfloat16", "float32"])
@pytest.mark.parametrize("where", ["host", "device"])
def test_whole_numbers_are_those_that_every_dtype_has(dtype: str, where: str) -> None:
    for width, share in ((50, 1.0), (1024, 0.25)):
        shape = (64, width)
        spec = Input(shape, dtype, "whole", trials=("whole",))
        made = (
            tensor(spec, np.random.default_rng(3))
            if where == "host"
            else on_device(spec, shape, torch.Generator().manual_seed(3)).to(getattr(torch, dtype))
        ).double()
        assert set(made.abs().unique().tolist()) == set(map(float, NUMBERS))
        assert float((made != 0).double().mean()) == pytest.approx(share * 15 / 16, rel=0.1)
        assert abs(float(made.mean())) < 1.0


def test_no_other_task_draws_whole_numbers_or_is_held_to_one_rounding() -> None:
    for name in names():
        task = load(name)
        found = [t for c in (*task.cases, *task.held_out, *task.edges) for t in trials(task, c, small=True)]
        asked = {t.name for t in found if t.misrounded is not None}
        assert asked == ({"whole"} if task == TASK else set())
        assert any(t.name == "whole" for t in found) == (task == TASK)
        assert ("misrounded" in pack(task)) == (task == TASK)


def chosen() -> list[Trial]:
    """Return the trials in which elements are counted without a GPU."""
    cases = (*TASK.cases, *(e for e in TASK.edges if interpretable(e)))
    return [t for group in few(TASK, cases).values() for t in group if t.misrounded is not None]


def test_elements_are_counted_in_every_case_without_a_gpu() -> None:
    assert {t.case for t in chosen()} == {c.name for c in (*TASK.cases, *filter(interpretable, TASK.edges))}
    assert {(t.name, t.misrounded) for t in chosen()} == {("whole", 0.01)}


@pytest.mark.parametrize("kind", [torch.bfloat16, torch.float16])
def test_what_is_kept_in_16_bits_between_parts_of_long_sums_is_found(kind: torch.dtype) -> None:
    def running(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        total = torch.zeros(a.shape[0], b.shape[1])
        for start in range(0, a.shape[1], 64):
            total = low(total, kind) + a[:, start : start + 64] @ b[start : start + 64]
        return total

    sums: dict[str, Program] = {
        "at the end": lambda a, b, s, t: low(a @ b, kind) * s * t,
        "of large cases": lambda a, b, s, t: low(a @ b, kind if a.shape[1] > 65 else torch.float32) * s * t,
        "between parts": lambda a, b, s, t: running(a, b) * s * t,
    }
    tried = [given(t) for t in chosen()]
    for name, program in sums.items():
        found = [
            yardstick.ratio(want, program(*operands).bfloat16())[0] for operands, want in tried if want.shape != ()
        ]
        assert sum(ratio > 1.0 for ratio in found) >= 2, name


def test_the_share_survives_the_wire_and_stands_among_the_limits() -> None:
    assert unpack(msgpack.unpackb(msgpack.packb(pack(TASK)), use_list=False)).misrounded == 0.01
    _, want = given(whole("1x1x1-e4m3"))
    host = yardstick.on_host(want)
    again = tolerance.unpack(msgpack.unpackb(msgpack.packb(tolerance.pack(host)), use_list=False))
    assert again.misrounded == 0.01
    assert again.figures == host.figures == (*replace(host, misrounded=None).figures, 0.01)


ROWS = """
"Sums of rows over 7."
import torch
from suites import Case, Input

entry = "rows"
category = "reduction"
level = 1


def reference(x):
    wide = torch.promote_types(x.dtype, torch.float32)
    return (x.to(wide).sum(1) / 7).to(torch.float64 if x.dtype == torch.float64 else torch.{dtype})


def backwards(x):
    return (x.float().flip(1).sum(1) / 7).to(torch.{dtype})


def twice(x):
    return (x.float().sum(1).to(torch.{dtype}).float() / 7).to(torch.{dtype})


honest = [backwards, twice]
misrounded = 0.01
case = Case("c", {{"x": Input((512, 512), "float16", trials=("normal", "signs", "whole"))}}, flops=1, bytes=1,
            small={{"x": Input({small}, "float16", trials=("normal", "signs", "whole"))}})
cases = [case, Case("d", case.inputs, flops=1, bytes=1, small=case.small),
         Case("e", case.inputs, flops=1, bytes=1, small=case.small),
         Case("f", case.inputs, flops=1, bytes=1, small=case.small)]
held_out = [Case(n, case.inputs, flops=1, bytes=1, small=case.small) for n in "ghi"]

# evo-kernel: seed plain
import torch
import triton
import triton.language as tl


@triton.jit
def rows_kernel(y_ptr, x_ptr, N, BLOCK: tl.constexpr):
    offs = tl.arange(0, BLOCK)
    x = tl.load(x_ptr + tl.program_id(0) * N + offs, mask=offs < N, other=0.0).to(tl.float32)
    tl.store(y_ptr + tl.program_id(0), (tl.sum(x, 0) / 7).to(y_ptr.dtype.element_ty))


def rows(x):
    y = torch.empty((x.shape[0],), dtype=torch.{dtype}, device=x.device)
    rows_kernel[(x.shape[0],)](y, x, x.shape[1], BLOCK=512)
    return y
# evo-kernel: end
"""


@pytest.mark.parametrize(("dtype", "small"), [("bfloat16", "(63, 9)"), ("float32", "(70, 9)")])
def test_a_task_in_which_nothing_could_be_counted_is_told(dtype: str, small: str) -> None:
    faults = lint.faults(lint.lint(read(ROWS.format(dtype=dtype, small=small), "rows")))
    assert any(f.startswith("`misrounded` would find nothing: no public case has") for f in faults)


def test_an_honest_member_that_rounds_twice_is_told_why_it_is_refused() -> None:
    faults = lint.faults(lint.lint(read(ROWS.format(dtype="bfloat16", small="(300, 300)"), "rows")))
    assert [f for f in faults if "times as many of its elements as `misrounded` allows" in f and "`twice`" in f]
    assert not any("would find nothing" in f for f in faults)


def changed(old: str, new: str) -> Task:
    assert old in TASK.source
    return read(TASK.source.replace(old, new), "fp8_gemm_scaled")


@pytest.mark.parametrize("share", ["1", "True", "1.0", "0.0", "'1%'"])
def test_a_share_that_cannot_be_is_a_fault_of_the_task(share: str) -> None:
    with pytest.raises(TaskError, match="`misrounded` must be a share of elements between"):
        changed("misrounded = 0.01", f"misrounded = {share}")


def test_a_share_without_inputs_whose_sums_are_exact_is_a_fault_of_the_task() -> None:
    with pytest.raises(TaskError, match="inputs drawn as `whole`, and none of a public case names that"):
        changed(', "whole")', ")")
    assert changed("misrounded = 0.01", "").misrounded is None
    with pytest.raises(TaskError, match="what may be drawn as `whole` has a scale or a shift"):
        changed('"signs", "whole")),\n        "scale_a"', '"signs", "whole"), scale=0.5),\n        "scale_a"')
