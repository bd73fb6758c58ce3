"""What a candidate is checked with: distributions, edges, padding, two fills of memory, limits that stay."""

import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import msgpack
import numpy as np
import pytest
import torch

from evo_kernel import api, frozen
from evo_kernel.errors import RunError
from fitness import yardstick
from fitness.child import Limits
from fitness.correctness import Correctness, moved
from fitness.jobs import bfloat16
from fitness.jobs.truth import storage
from fitness.judge import Judge
from suites import Input, Task, TaskError, edge, load, read
from suites.inputs import on_device, tensor
from suites.loading import TEMPLATE, functions, reference
from suites.native import TEN
from suites.task import FLOATING, pack, unpack
from suites.trials import AMPLITUDE, draw, few, interpretable, trials

FILES = [*TEN, str(TEMPLATE)]

pytestmark = pytest.mark.usefixtures("shared_jails")

ROWS = '''"""Scale the rows of a matrix; `x` may be overwritten."""
from suites import Case, Input, edge
entry = "scale"
exact = True
in_place = ["x"]
def reference(x):
    return x * 2
def twice(x):
    return x + x
honest = [twice]
def case(name, rows, cols, distribution="normal"):
    x = Input((rows, cols), distribution=distribution)
    return Case(name, {"x": x}, flops=1, bytes=2 * x.bytes, small={"x": Input((3, 40), distribution=distribution)})
cases = [case("a", 512, 512)]
held_out = [case("b", 300, 300)]
edges = [edge("padded", {"x": Input((5, 33), distribution="offset", pad=7)}), edge("none", {"x": Input((0, 33))}),
         edge("huge", {"x": Input((2**16, 2**16))})]
# evo-kernel: seed plain
import torch
import triton
import triton.language as tl


@triton.jit
def scale_kernel(out_ptr, x_ptr, out_stride, x_stride, cols, BLOCK: tl.constexpr):
    row = tl.program_id(0)
    offs = tl.arange(0, BLOCK)
    mask = offs < cols
    x = tl.load(x_ptr + row * x_stride + offs, mask=mask)
    tl.store(out_ptr + row * out_stride + offs, x * 2, mask=mask)


def scale(x):
    out = torch.empty(x.shape, dtype=x.dtype, device=x.device)
    rows, cols = x.shape
    scale_kernel[(rows,)](out, x, out.stride(0), x.stride(0), cols, BLOCK=512)
    return out
# evo-kernel: end
'''


@pytest.fixture(scope="module")
def task() -> Task:
    return read(ROWS, "scale")


@pytest.fixture(scope="module")
def judge(task: Task) -> Iterator[Judge]:
    judge = Judge(task, "mi300", limits=Limits(seconds=20.0))
    yield judge
    judge.close()


def failure(judge: Judge, old: str, new: str) -> tuple[str, str]:
    source = judge.task.seeds[0].source
    assert old in source
    verdict = judge.judge(source.replace(old, new))
    assert verdict.failure is not None
    return verdict.failure.kind, verdict.failure.message


@pytest.mark.parametrize("name", FILES, ids=lambda n: Path(n).stem)
def test_the_few_trials_show_every_distribution_and_one_large_element(name: str) -> None:
    task = load(name)
    cases = (*task.cases, *(e for e in task.edges if interpretable(e)))
    chosen = few(task, cases)
    assert all(group[0].name == "base" for group in chosen.values())
    shown = [
        t for group in chosen.values() for t in group if all(getattr(a, "elements", 1) for a in t.arguments.values())
    ]
    kinds = {a.distribution for t in shown for a in t.arguments.values() if isinstance(a, Input)}
    assert kinds >= set(FLOATING)
    assert any(t.name == "influence" for t in shown)
    assert len(shown) <= len(cases) + 6


@pytest.mark.parametrize("name", FILES, ids=lambda n: Path(n).stem)
def test_a_native_task_says_more_than_its_reference_and_survives_the_wire(name: str) -> None:
    task = load(name)
    assert len(task.honest) >= 2
    assert unpack(msgpack.unpackb(msgpack.packb(pack(task)), use_list=False)) == task
    sizes = [[a.elements for a in e.inputs.values() if isinstance(a, Input)] for e in task.edges]
    assert any(0 in s for s in sizes)
    assert any(max(s) > 2**31 for s in sizes)
    assert sum(interpretable(e) for e in task.edges) >= 4
    assert not any(interpretable(e) for e, s in zip(task.edges, sizes, strict=True) if max(s) > 2**31)


def test_an_input_takes_only_the_distributions_it_allows() -> None:
    task = load("row_sum")
    case = task.case("512x131071-fp16-signs")
    assert {t.name for t in trials(task, case, small=True)} == {"base", "normal", "heavy", "spike", "influence"}
    base = next(t for t in trials(task, case, small=True) if t.name == "base")
    assert base.exact
    assert not any(t.exact for t in trials(task, case, small=True)[1:])


def test_values_follow_from_seed_case_trial_and_input() -> None:
    task = load("vector_add")
    base, other, *_, large = trials(task, task.cases[0], small=True)
    one = draw(base, 5)
    assert all(torch.equal(one[k], v) for k, v in draw(base, 5).items())
    assert not torch.equal(one["x"], draw(base, 6)["x"])
    assert not torch.equal(one["x"], one["y"])
    assert not torch.equal(one["x"], draw(other, 5)["x"])
    moved = draw(large, 5)["x"]
    places = torch.nonzero(moved != one["x"]).flatten()
    assert len(places) == 1
    assert places[0] >= len(moved) * 7 // 8
    assert moved[places[0]] == AMPLITUDE["float32"]


def test_a_padded_permuted_input_has_its_stride_and_its_bytes() -> None:
    spec = Input((3, 4), "float16", order=(1, 0), pad=2)
    drawn = tensor(spec, np.random.default_rng(1))
    assert (drawn.shape, drawn.stride()) == ((3, 4), (1, 5))
    assert spec.stored == (4, 5)
    data = np.frombuffer(storage(drawn, spec), np.float16).reshape(4, 5)
    assert np.array_equal(data[:, :3].T, drawn.numpy())
    assert np.isnan(data[:, 3:]).all()


@pytest.mark.parametrize("distribution", FLOATING)
def test_values_drawn_on_a_device_are_distributed_as_those_of_the_host(distribution: str) -> None:
    spec = Input((64, 1024), distribution=distribution)
    here = tensor(spec, np.random.default_rng(1)).double()
    there = on_device(spec, (64, 1024), torch.Generator().manual_seed(1)).double()
    again = on_device(spec, (64, 1024), torch.Generator().manual_seed(1)).double()
    assert torch.equal(there, again)
    shares = torch.tensor([0.02, 0.25, 0.5, 0.75, 0.98], dtype=torch.float64)
    for one, other in zip(*(torch.quantile(v.reshape(-1), shares).tolist() for v in (here, there)), strict=True):
        assert one == pytest.approx(other, rel=0.05, abs=0.05)
    assert float(there.max()) == pytest.approx(float(here.max()), rel=0.9)
    if distribution == "spike":
        assert there[-1, -1] == 1000
        assert 8 <= (there == 1000).sum() <= 17


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"pad": -1}, "pad"),
        ({"pad": 1.5}, "pad"),
        ({"shape": (), "pad": 1}, "pad"),
        ({"trials": ("normal", "indices")}, "trials"),
        ({"dtype": "int64", "distribution": "indices", "high": 3, "trials": ("normal",)}, "trials"),
    ],
)
def test_an_input_that_cannot_be_is_refused(arguments: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Input(**{"shape": (2, 3), **arguments})


def test_all_faults_of_the_new_parts_are_named_at_once() -> None:
    text = ROWS.replace("exact = True", "exact = 1").replace('in_place = ["x"]', 'in_place = ["y"]')
    text = text.replace("def twice(x)", "def twice(z)").replace("return x + x", "return z + z")
    text = text.replace('edge("none"', 'edge("a"')
    with pytest.raises(TaskError) as caught:
        read(text, "scale")
    for part in ("`exact` must be True or False; got 1", "in_place names what is no tensor argument: y",
                 "honest twice takes z; the reference takes x", "case names are used twice: a"):  # fmt: skip
        assert part in str(caught.value)


def test_edges_and_padding_are_judged_and_the_huge_edge_waits_for_a_gpu(judge: Judge) -> None:
    verdict = judge.judge(judge.task.seeds[0].source)
    assert verdict.passed, verdict.failure
    assert [c.case for c in verdict.cases] == ["a"]
    seen = {r.trial.case for r in judge.correctness.replays(judge.task.cases)}
    assert seen == {"a", "padded", "none"}


def test_a_kernel_that_takes_padded_rows_for_dense_ones_is_refused_at_the_edge(judge: Judge) -> None:
    kind, message = failure(judge, "x_ptr + row * x_stride", "x_ptr + row * cols")
    assert kind == "wrong"
    assert message.startswith("case padded, offset inputs")
    assert "elements are wrong, the first at [1, 0] expected" in message


def test_a_result_that_drops_one_fill_of_memory_is_refused_on_the_other(judge: Judge) -> None:
    # a maximum drops NaN, the first fill; the large number of the second stays
    kind, message = failure(
        judge, "x * 2, mask=mask", "tl.maximum(x * 2, tl.load(out_ptr + row * out_stride + offs, mask=mask)), mask=mask"
    )
    assert kind == "wrong"
    assert "all of them hold what memory held before" in message


def test_two_runs_that_differ_on_the_fill_alone_are_named_so(judge: Judge, task: Task) -> None:
    correctness = judge.correctness
    replays = correctness.replays(task.cases)
    again, first = replays[-1], next(r for r in replays if r.trial == replays[-1].trial)
    truth = correctness._given[(again.trial.case, again.trial.name)].outputs[0]
    values = truth.truth.astype(np.float32)
    near = values.copy()
    near.reshape(-1)[3] = np.nextafter(near.reshape(-1)[3], np.float32(np.inf))  # inside every limit, but not equal
    outputs = [[["float32", list(v.shape), v.tobytes()]] for v in (values, near)]
    _, found = correctness.judge((first, again), outputs)
    assert found is not None
    assert found.kind == "uninitialised"
    assert "something is read that was never written: 1 of 120 elements are wrong, the first at [0, 3]" in found.message
    loose = Correctness(replace(task, atomics=True), 0, judge._builder.jail)
    loose.replays(task.cases)
    assert loose.judge((first, again), outputs)[1] is None


def test_the_interpreter_rounds_bfloat16_as_torch_does() -> None:
    bits = torch.randint(0, 2**32, (20000,), generator=torch.Generator().manual_seed(1)).to(torch.uint32)
    values = torch.cat([bits.view(torch.float32), torch.tensor([1.00390625, 3.4e38, float("inf"), -0.0, float("nan")])])

    own = torch.from_numpy(bfloat16.narrow(values.numpy()).view(np.int16)).view(torch.bfloat16)
    assert torch.equal(own.isnan(), values.isnan())
    assert torch.equal(own.nan_to_num(7.0), values.bfloat16().nan_to_num(7.0))
    assert np.array_equal(bfloat16.widen(own.view(torch.int16).numpy().view(np.uint16)), own.float(), equal_nan=True)


def test_an_input_may_be_overwritten_and_returned_where_the_task_says_so(task: Task) -> None:
    judge = Judge(replace(task, edges=()), "mi300", limits=Limits(seconds=20.0))
    source = task.seeds[0].source.replace("out = torch.empty(x.shape, dtype=x.dtype, device=x.device)", "out = x")
    verdict = judge.judge(source)
    judge.close()
    assert verdict.passed, verdict.failure


@pytest.mark.parametrize("name", TEN)
def test_a_result_kept_from_before_one_element_changed_is_refused(name: str) -> None:
    task = load(name)
    for case in task.cases:
        base, *_, large = trials(task, case, small=True)
        assert (base.name, large.name) == ("base", "influence")
        kept = reference(task)(*draw(base, 0).values())
        own = yardstick.compute(functions(task), draw(large, 0), large)
        if name == "embedding" and torch.equal(reference(task)(*draw(large, 0).values()), kept):
            continue  # the changed row of the table is one that nobody asks for
        assert yardstick.ratio(own[0], kept)[0] > 1.0


def test_edges_are_cases_of_the_task() -> None:
    assert load("softmax").case("0x64-fp32").inputs["x"].shape == (0, 64)
    assert edge("e", {"x": Input((0,))}).flops == 0


def test_limits_that_moved_are_named_and_new_ones_are_kept(tmp_path: Path) -> None:
    frozen.hold(tmp_path, {"a/base/0": (1.0, 2.0)})
    frozen.hold(tmp_path, {"a/base/0": (1.005, 2.0), "b/base/0": (3.0, 0.0)})
    assert frozen.read(tmp_path) == {"a/base/0": (1.0, 2.0), "b/base/0": (3.0, 0.0)}
    with pytest.raises(RunError, match=r"the limits of b/base/0 moved from 3 to 3\.1"):
        frozen.hold(tmp_path, {"b/base/0": (3.1, 0.0)})
    assert moved({"a": (1.0,)}, {"c": (2.0,)}) is None
    assert "are 1 numbers where this version makes 2" in str(moved({"a": (1.0,)}, {"a": (1.0, 2.0)}))


def test_a_run_keeps_its_limits_and_is_not_resumed_under_others(tmp_path: Path, task: Task) -> None:
    folder = tmp_path / "run"
    api.search(task, run=folder, pool="inline", generations=1, population=2)
    kept = frozen.read(folder)
    assert {name.split("/")[0] for name in kept} == {"a", "padded", "none"}
    data = {name: [f * 1.05 for f in figures] for name, figures in kept.items()}
    (folder / frozen.FILE).write_bytes(msgpack.packb([frozen.FORMAT, data]))
    with pytest.raises(RunError, match="the limits of a/base/0 moved"):
        api.resume(folder, generations=2)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
@pytest.mark.parametrize("where", ["host", "device"])
def test_special_values_are_a_few_of_each_kind(dtype: str, where: str) -> None:
    shape, bits = (64, 64), getattr(torch, dtype)
    for distribution, kinds in (("nonfinite", 4), ("special", 6)):
        spec = Input(shape, dtype, distribution, trials=(distribution,))
        made = (
            tensor(spec, np.random.default_rng(3))
            if where == "host"
            else on_device(spec, shape, torch.Generator().manual_seed(3)).to(bits)
        )
        found = [
            made.isnan(), made == math.inf, made == -math.inf, (made == 0) & torch.signbit(made),
            *((made.double() * s >= min(1e100, torch.finfo(bits).max)) & made.isfinite() for s in (1, -1)),
        ]  # fmt: skip
        assert [int(f.sum()) for f in found] == [4 if n < kinds else 0 for n in range(6)]
        assert made.isfinite().sum() == made.numel() - 12
    assert torch.isfinite(tensor(Input((63,), dtype, "special", trials=("special",)), np.random.default_rng(3))).all()


def test_special_values_are_a_trial_only_where_an_input_names_them() -> None:
    asked = {name: {t.name for c in load(name).cases for t in trials(load(name), c, small=True)} for name in TEN}
    special = {n for n, kinds in asked.items() if "special" in kinds}
    assert special == {"vector_add", "flip", "transpose", "embedding"}
    assert {n for n, kinds in asked.items() if "nonfinite" in kinds} == {"softmax"}
    for name in special:
        chosen = few(load(name), load(name).cases)
        assert [t.name for group in chosen.values() for t in group].count("special") == 1, (
            "one more run under the interpreter"
        )


MASKED = ("tl.where(x == x, x * 2, 0.0)", "tl.minimum(tl.maximum(x * 2, -3e38), 3e38)")


def test_what_is_nan_or_infinite_must_be_so_in_the_result() -> None:
    source = ROWS.replace("Input((3, 40), distribution=distribution)", "Input((3, 40), trials=('normal', 'nonfinite'))")
    task = read(source.replace("edges = [", "edges = []\n_ = ["), "scale")
    judge = Judge(task, "mi300", limits=Limits(seconds=20.0))
    try:
        right, *wrong = (judge.judge(task.seeds[0].source.replace("x * 2", how)) for how in ("x * 2", *MASKED))
    finally:
        judge.close()
    assert right.passed, right.failure
    for verdict in wrong:
        assert verdict.failure is not None
        assert (verdict.failure.kind, "nonfinite inputs" in verdict.failure.message) == ("wrong", True)
