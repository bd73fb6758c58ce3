"""The rule of correctness on the native tasks: honest arithmetic passes, wrong kernels do not, whatever the inputs."""

from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache

import numpy as np
import pytest
import torch
from programs import task as own_task

from fitness import tolerance, yardstick
from fitness.tolerance import Verdict, Yardstick
from suites import load
from suites.loading import Functions, functions, reference
from suites.trials import INFLUENCE, Trial, draw, trials


@lru_cache
def given(name: str, case: str) -> tuple[tuple, tuple[Yardstick, ...]]:
    task = load(name)
    trial = trials(task, task.case(case), small=True)[0]
    values = draw(trial, 3)
    made = yardstick.compute(functions(task), values, trial, seed=3)
    return tuple(values.values()), tuple(yardstick.on_host(y) for y in made)


def of(function: Callable[[torch.Tensor], torch.Tensor], x: torch.Tensor, exact: bool = False) -> tuple[Yardstick, ...]:
    """Make the yardstick of any function of one tensor."""
    made = yardstick.compute(Functions(function), {"x": x}, Trial("base", "any", {}, exact))
    return tuple(yardstick.on_host(y) for y in made)


def cases(*names: str) -> list[tuple[str, str]]:
    return [(n, c.name) for n in names for t in [load(n)] for c in (*t.cases, *t.held_out)]


def judge(output: torch.Tensor, wanted: tuple[Yardstick, ...]) -> Verdict:
    name = str(output.dtype).removeprefix("torch.")
    data = output.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes() if output.numel() else b""
    return tolerance.compare([[name, list(output.shape), data]], wanted)


def like(wanted: tuple[Yardstick, ...]) -> torch.Tensor:
    return torch.empty(wanted[0].shape, dtype=getattr(torch, wanted[0].dtype))


ALL = cases("softmax", "layer_norm", "rms_norm", "gemm_fp16", "gelu_mul", "row_sum", "vector_add", "flip")


@pytest.mark.parametrize(("name", "case"), ALL)
def test_the_eager_implementation_passes(name: str, case: str) -> None:
    inputs, wanted = given(name, case)
    assert not judge(reference(load(name))(*inputs), wanted).complaint


@pytest.mark.parametrize(("name", "case"), ALL)
def test_arithmetic_in_float32_rounded_once_passes(name: str, case: str) -> None:
    inputs, wanted = given(name, case)
    lifted = [i.float() if isinstance(i, torch.Tensor) and i.is_floating_point() else i for i in inputs]
    output = reference(load(name))(*lifted).to(getattr(torch, wanted[0].dtype))
    assert not judge(output, wanted).complaint


def blocked_sum(x: torch.Tensor) -> torch.Tensor:
    """Add a row block by block in float32, as a plain kernel does."""
    total = torch.zeros(x.shape[0], dtype=torch.float32)
    for start in range(0, x.shape[1], 256):
        total += x[:, start : start + 256].float().sum(1)
    return total


@pytest.mark.parametrize(("name", "case"), cases("row_sum"))
def test_a_sum_by_blocks_in_float32_passes(name: str, case: str) -> None:
    inputs, wanted = given(name, case)
    assert not judge(blocked_sum(inputs[0]).to(getattr(torch, wanted[0].dtype)), wanted).complaint


@pytest.mark.parametrize(("name", "case"), cases("softmax"))
def test_a_softmax_with_base_two_and_a_reciprocal_passes(name: str, case: str) -> None:
    inputs, wanted = given(name, case)
    x = inputs[0].float()
    e = torch.exp2((x - x.amax(1, keepdim=True)) * 1.4426950408889634)
    output = (e * (1 / e.sum(1, keepdim=True))).to(inputs[0].dtype)
    assert not judge(output, wanted).complaint


def right(name: str, inputs: tuple) -> torch.Tensor:
    return reference(load(name))(*inputs).clone()


WRONG: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "zeros": torch.zeros_like,
    "a constant": lambda y: torch.full_like(y, float(y.float().mean())),
    "the last element left out": lambda y: torch.cat([y.reshape(-1)[:-1], torch.zeros(1, dtype=y.dtype)]).reshape(y.shape),
    "everything one percent large": lambda y: (y.float() * 1.01).to(y.dtype),
    "a NaN": lambda y: torch.cat([y.reshape(-1)[:-1], torch.full((1,), float("nan"), dtype=y.dtype)]).reshape(y.shape),
    "rows shifted by one": lambda y: torch.roll(y, 1, 0),
}  # fmt: skip


@pytest.mark.parametrize("wrong", WRONG)
@pytest.mark.parametrize(("name", "case"), ALL)
def test_wrong_outputs_are_refused(name: str, case: str, wrong: str) -> None:
    inputs, wanted = given(name, case)
    output = right(name, inputs)
    broken = WRONG[wrong](output)
    change = (torch.nan_to_num(broken.double(), nan=1e6) - output.double()).abs()
    noise = 16 * torch.finfo(output.dtype).eps * output.double().square().mean().sqrt()
    if change.max() <= noise:
        pytest.skip("for this case the change is within rounding")
    assert judge(broken, wanted).complaint


@pytest.mark.parametrize(
    ("name", "case"),
    [(n, c) for n, c in cases("softmax", "layer_norm", "rms_norm", "row_sum") if "fp32" in c and "of-1" not in c],
)
def test_half_precision_inside_a_float32_operation_is_refused(name: str, case: str) -> None:
    inputs, wanted = given(name, case)
    lowered = [i.bfloat16().float() if isinstance(i, torch.Tensor) and i.is_floating_point() else i for i in inputs]
    output = reference(load(name))(*lowered)
    if torch.equal(output, right(name, inputs)):
        pytest.skip("these inputs are exact in bfloat16")
    assert judge(output, wanted).complaint


def test_integers_must_be_equal() -> None:
    want = of(lambda x: x, torch.tensor([1, 2, 2**60 + 1]))
    assert not judge(torch.tensor([1, 2, 2**60 + 1]), want).complaint
    said = judge(torch.tensor([1, 2, 2**60]), want).complaint
    assert "integers differ: 1 of 3 elements are wrong, the first at [2]" in said


def test_infinities_and_nans_must_be_where_the_truth_has_them() -> None:
    inf, nan = float("inf"), float("nan")
    want = of(lambda x: x * 1e6, torch.tensor([inf, -inf, nan, 1.0, 0.0], dtype=torch.float16))  # 1e6 is beyond float16
    good = torch.tensor([inf, -inf, nan, inf, 0.0], dtype=torch.float16)
    assert not judge(good, want).complaint
    for place in range(4):
        bad = good.clone()
        bad[place] = 65504.0
        assert "not finite" in judge(bad, want).complaint


def test_empty_outputs_and_scalars_are_compared() -> None:
    assert not judge(torch.zeros(0, 4), of(lambda x: x, torch.zeros(0, 4))).complaint
    scalar = of(lambda x: x, torch.tensor(2.0))
    assert not judge(torch.tensor(2.0), scalar).complaint
    assert judge(torch.tensor(2.1), scalar).complaint


def test_numbers_below_the_smallest_normal_one_may_be_flushed_to_zero() -> None:
    x = torch.tensor([[1.0, 2.0**-130, 2.0**-120]])
    flushed = torch.tensor([[1.0, 0.0, 2.0**-120]])
    for dtype in (torch.float32, torch.bfloat16):
        want = of(lambda x: x, x.to(dtype))
        assert not judge(flushed.to(dtype), want).complaint
    small = torch.tensor([[2.0**-118, 2.0**-119, 2.0**-120]])
    assert judge(small * torch.tensor([1.0, 1.0, 0.0]), of(lambda x: x, small)).complaint


def test_an_exact_trial_allows_no_rounding_and_either_zero() -> None:
    x = torch.tensor([[0.0, 1.0, -1.0, 2.0], [0.0, 0.0, 0.0, 0.0]])
    off = x + torch.tensor([[0.0, 2.0**-23, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0]])
    assert not judge(off, of(lambda x: x, x)).complaint
    want = of(lambda x: x, x, exact=True)
    assert "not exact" in judge(off, want).complaint
    assert not judge(torch.where(x == 0, torch.tensor(-0.0), x), want).complaint


def test_an_exact_trial_tolerates_rounding_where_the_dtype_lacks_the_number() -> None:
    want = of(lambda x: x * 257, torch.tensor([1.0, 2.0], dtype=torch.bfloat16), exact=True)  # bfloat16 has no 257
    assert not judge(torch.tensor([256.0, 512.0], dtype=torch.bfloat16), want).complaint
    assert not judge(torch.tensor([258.0, 516.0], dtype=torch.bfloat16), want).complaint


def test_an_implementation_that_overflows_does_not_lift_the_limits() -> None:
    x = torch.full((1, 64), 200.0, dtype=torch.float16)
    overflowing = Functions(lambda x: (x.float() / 3).to(x.dtype), (("square", lambda x: x * x / (x * 3)),))
    made = yardstick.compute(overflowing, {"x": x}, Trial("base", "any", {}))
    want = tuple(yardstick.on_host(y) for y in made)
    assert not judge((x.double() / 3).half(), want).complaint
    assert judge(x, want).complaint


def test_limits_do_not_depend_on_a_candidate_and_a_real_bank_has_at_least_two_members() -> None:
    for name in ("softmax", "gemm_fp16"):
        task = load(name)
        trial = trials(task, task.cases[0], small=True)[0]
        values = draw(trial, 3)
        once, again = (yardstick.compute(functions(task), values, trial, seed=3)[0] for _ in range(2))
        assert once.figures == again.figures
        assert len(functions(task).honest) >= 2
        reduced = yardstick.compute(functions(task), values, trial, seed=3, without="reference")[0]
        assert reduced.whole <= once.whole


@pytest.mark.parametrize(("name", "case"), ALL)
def test_the_same_rule_in_torch_gives_the_same_ratio(name: str, case: str) -> None:
    inputs, wanted = given(name, case)
    task = load(name)
    trial = trials(task, task.case(case), small=True)[0]
    own = yardstick.compute(functions(task), draw(trial, 3), trial, seed=3)[0]
    output = right(name, inputs)
    broken = output.clone()
    broken.reshape(-1)[-1:] = 3.0
    for candidate in (output, broken):
        on_device, mean = yardstick.ratio(own, candidate)
        on_host = judge(candidate, wanted)
        assert on_device == pytest.approx(on_host.ratio, rel=1e-9)
        assert (on_device > 1) == bool(on_host.complaint)
        if on_host.means:
            assert mean == pytest.approx(on_host.means[0], rel=1e-6, abs=1e-12)


def test_a_bias_in_one_direction_is_seen_over_several_trials() -> None:
    x = torch.rand(1024, 256, generator=torch.Generator().manual_seed(1)) + 1
    want = of(lambda x: x, x)[0]
    up = float(x.double().mean()) * 2.0**-23
    assert not tolerance.pooled([(up / 4, want), (-up / 4, want)]).complaint
    assert "one direction" in tolerance.pooled([(2.5 * up, want), (2.5 * up, want)]).complaint
    assert not tolerance.pooled([(2.5 * up, want), (-2.5 * up, want)]).complaint


def test_a_message_says_where_the_wrong_elements_are() -> None:
    x = torch.rand(8, 64, generator=torch.Generator().manual_seed(1))
    want = of(torch.exp, x)
    y = torch.exp(x)
    cut = y.clone()
    cut[:, -13:] = 0
    said = judge(cut, want).complaint
    assert "104 of 512 elements are wrong, the first at [0, 51] expected" in said
    assert "all wrong elements are in the last 13 of 64 columns" in said
    row = y.clone()
    row[3] += 1
    assert "row 3 of 8" in judge(row, want).complaint
    strided = y.clone()
    strided[:, ::4] += 1
    assert "every 4th column from 0" in judge(strided, want).complaint
    never = y.clone()
    never[5:] = float("nan")
    data = never.reshape(-1).view(torch.uint8).numpy().tobytes()
    said = tolerance.compare([["float32", [8, 64], data]], want, {"float32": float("nan")}).complaint
    assert "the last 3 of 8 rows" in said
    assert "never written" in said


def test_bfloat16_bytes_are_read_right() -> None:
    values = torch.tensor([1.5, -2.0, 3e38, float("inf")], dtype=torch.bfloat16)
    raw = values.view(torch.uint8).numpy().tobytes()
    assert np.array_equal(tolerance.decode(raw, "bfloat16"), values.double().numpy())


def product(a: torch.Tensor, b: torch.Tensor, step: int) -> torch.Tensor:
    """Multiply with one sum after another along K."""
    total = torch.zeros(a.shape[0], b.shape[1])
    for k in range(0, a.shape[1], step):
        total += a[:, k : k + step] @ b[k : k + step]
    return total


def bits(x: torch.Tensor, kept: int, nearest: bool) -> torch.Tensor:
    """Keep so many of the 24 bits of a float32: cut the others off, or round to the nearest."""
    lost = 24 - kept
    whole = x.view(torch.int32) + ((1 << (lost - 1)) if nearest else 0)
    return (whole & -(1 << lost)).view(torch.float32)


@pytest.mark.parametrize("small", [True, False])
def test_a_task_that_allows_tf32_takes_it_rounded_or_cut_and_no_bfloat16(small: bool) -> None:
    task = own_task("matmul_tf32")
    refused = set()
    for trial in trials(task, task.cases[0], small):
        if not small and trial.name in ("heavy", "spike", "signs", "offset"):
            continue  # they add nothing, and take a second each
        values = draw(trial, 5)
        wanted = yardstick.compute(functions(task), values, trial, seed=5)
        a, b = values.values()
        for nearest in (True, False):
            made = product(bits(a, 11, nearest), bits(b, 11, nearest), 32)
            assert yardstick.ratio(wanted[0], made)[0] <= 0.8, (trial.name, nearest)
            if yardstick.ratio(wanted[0], product(bits(a, 8, nearest), bits(b, 8, nearest), 32))[0] > 1.0:
                refused.add((trial.name, nearest))
    assert {("base", True), ("base", False), ("influence", True), ("influence", False)} <= refused


def test_a_single_product_may_be_rounded_or_cut_where_what_is_added_to_it_is_not() -> None:
    task = load("dot")
    edge = next(e for e in task.edges if e.name == "1x1x1-fp32")
    for trial in trials(task, edge, small=False):
        for seed in range(25):
            values = draw(trial, seed)
            wanted = yardstick.compute(functions(task), values, trial, seed=seed)
            x, y, z = values.values()
            for nearest in (True, False):
                made = (bits(x, 11, nearest).double() * bits(y, 11, nearest).double() + z.double()).float()
                assert yardstick.ratio(wanted[0], made)[0] <= 1.0, (trial.name, seed, nearest)


def test_one_element_that_nearly_cancels_is_not_held_against_members_that_were_all_lucky() -> None:
    task = load("rmsnorm_bwd")  # of one element the gradient is what is left of two numbers that are nearly equal
    edge = next(e for e in task.edges if e.name == "1x1-fp32")
    x = replace(edge.inputs["x"], trials=("offset", "spike"))
    edge = replace(edge, inputs={**edge.inputs, "x": x, "eps": 0.1})
    refused = 0
    for trial in trials(task, edge, small=False):
        for seed in range(100):
            grad, x, weight, eps = (values := draw(trial, seed)).values()
            wanted = yardstick.compute(functions(task), values, trial, seed=seed)
            scale = 1.0 / torch.sqrt((x * x).sum(1, keepdim=True) + eps)
            made = scale * (grad * weight - x * ((grad * weight * x).sum(1, keepdim=True) * scale * scale))
            refused += yardstick.ratio(wanted[0], made)[0] > 1.0
    assert refused <= 1  # of several hundred


@pytest.mark.parametrize("seed", [325, 481])
def test_one_rounding_that_rules_an_element_is_allowed_where_a_real_implementation_has_it_too(seed: int) -> None:
    task = load("chained_matmul")
    (trial,) = (t for t in trials(task, task.case("4096x16384x128-bf16-uniform"), small=True) if t.name == "influence")
    sizes = {"a": (4096, 128), "b": (512, 128), "c": (512, 128)}
    given = {k: replace(trial.arguments[k], shape=shape) for k, shape in sizes.items()}
    trial = replace(trial, arguments=given)
    values = draw(trial, seed)
    (wanted,) = yardstick.compute(functions(task), values, trial, seed=seed, without="rounded")
    a, b, c = (v.float() for v in values.values())
    middle = (a @ b.T).bfloat16().float()
    assert yardstick.ratio(wanted, (middle @ c).bfloat16())[0] <= 0.9
    wrong = (middle.mul(1 + 2.0**-6).bfloat16().float() @ c).bfloat16()
    assert yardstick.ratio(wanted, wrong)[0] > 1.0


@pytest.mark.parametrize("name", ["uniform", "offset"])
def test_a_product_that_is_summed_in_order_passes_at_full_size_and_tf32_does_not(name: str) -> None:
    task = own_task("matmul_fp32")
    trial = next(t for t in trials(task, task.cases[0], small=False) if t.name == name)
    values = draw(trial, 5)
    wanted = yardstick.compute(functions(task), values, trial, seed=5)
    a, b = values.values()
    assert yardstick.ratio(wanted[0], product(a, b, 1))[0] <= 0.9
    assert yardstick.ratio(wanted[0], product(bits(a, 11, True), bits(b, 11, True), 32))[0] > 2.0


def test_a_row_of_a_million_summed_in_lanes_passes_wherever_its_large_element_stands() -> None:
    task = load("rms_norm")
    case = task.case("1x1048577-fp32")
    trial = next(t for t in trials(task, case, small=False) if t.name == INFLUENCE)
    values = draw(trial, 2)
    x = values["x"] = values["x"].roll(-(int(values["x"].argmax()) - 17_357))  # near its begin: most squares come after
    (wanted,) = yardstick.compute(functions(task), values, trial, seed=2)
    squares = torch.zeros(256)
    for block in x[0].split(256):
        squares[: len(block)] += block * block
    result = x / torch.sqrt(squares.sum() / x.shape[-1] + values["eps"]) * values["weight"]
    assert not judge(result, (yardstick.on_host(wanted),)).complaint
    coarse = x / torch.sqrt(squares.bfloat16().float().sum() / x.shape[-1] + values["eps"]) * values["weight"]
    assert judge(coarse, (yardstick.on_host(wanted),)).complaint
