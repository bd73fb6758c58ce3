"""The rule of correctness on the native tasks: honest arithmetic passes, wrong kernels do not, whatever the inputs."""

from collections.abc import Callable
from functools import lru_cache

import numpy as np
import pytest
import torch

from fitness import tolerance
from fitness.jobs.truth import truth
from fitness.tolerance import Expected, Verdict
from suites import load
from suites.inputs import draw
from suites.loading import reference
from suites.task import pack, pack_arguments


class Quiet:
    def stage(self, name: str) -> None:
        """Report to nobody."""


@lru_cache
def given(name: str, case: str) -> tuple[tuple, tuple[Expected, ...]]:
    task = load(name)
    arguments = task.case(case).arguments(small=True)
    payload = {"task": pack(task), "case": case, "arguments": pack_arguments(arguments), "seed": 3}
    _, outputs = truth(payload, Quiet())
    return tuple(draw(arguments, 3, case).values()), tuple(tolerance.expected(o) for o in outputs)


def cases(*names: str) -> list[tuple[str, str]]:
    return [(n, c.name) for n in names for t in [load(n)] for c in (*t.cases, *t.held_out)]


def judge(output: torch.Tensor, wanted: tuple[Expected, ...]) -> Verdict:
    name = str(output.dtype).removeprefix("torch.")
    data = output.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes() if output.numel() else b""
    return tolerance.compare([[name, list(output.shape), data]], wanted)


def like(wanted: tuple[Expected, ...]) -> torch.Tensor:
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
    want = (Expected("int32", (3,), np.array([1.0, 2.0, 3.0]), np.zeros((1, 3))),)
    good = np.array([1, 2, 3], np.int32).tobytes()
    assert not tolerance.compare([["int32", [3], good]], want).complaint
    assert (
        "1 of 3 integers"
        in tolerance.compare([["int32", [3], np.array([1, 2, 4], np.int32).tobytes()]], want).complaint
    )


def test_infinities_and_nans_must_be_where_the_truth_has_them() -> None:
    truth_ = np.array([np.inf, -np.inf, np.nan, 1e6, 1.0])
    want = (Expected("float16", (5,), truth_, np.zeros((1, 5))),)
    good = np.array([np.inf, -np.inf, np.nan, np.inf, 1.0], np.float16)  # 1e6 is beyond float16
    assert not tolerance.compare([["float16", [5], good.tobytes()]], want).complaint
    for place in range(4):
        bad = good.copy()
        bad[place] = 65504.0
        assert "not finite" in tolerance.compare([["float16", [5], bad.tobytes()]], want).complaint


def test_empty_outputs_and_scalars_are_compared() -> None:
    empty = (Expected("float32", (0, 4), np.zeros((0, 4)), np.zeros((1, 0, 4))),)
    assert not tolerance.compare([["float32", [0, 4], b""]], empty).complaint
    scalar = (Expected("float32", (), np.array(2.0), np.zeros((1,))),)
    assert not tolerance.compare([["float32", [], np.float32(2).tobytes()]], scalar).complaint
    assert tolerance.compare([["float32", [], np.float32(2.1).tobytes()]], scalar).complaint


def test_bfloat16_bytes_are_read_right() -> None:
    values = torch.tensor([1.5, -2.0, 3e38, float("inf")], dtype=torch.bfloat16)
    raw = values.view(torch.uint8).numpy().tobytes()
    assert np.array_equal(tolerance.decode(raw, "bfloat16"), values.double().numpy())
