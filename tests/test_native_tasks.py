"""Native tasks and the template keep the promises of a task file, and a broken task file is explained."""

import ast
import functools
import importlib.util
import json
import math
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from suites import Case, Input, Task, TaskError, load, names, read
from suites.inputs import draw
from suites.loading import TEMPLATE, reference

FILES = [*names(), str(TEMPLATE)]
ONE_DTYPE = {"gemm_fp16"}  # float16 is in its name
# Of |truth| plus its root mean square. Triton's interpreter cuts bfloat16 off where a GPU rounds, so a whole
# unit in the last place (2^-7) must pass; float32 statistics of rows near 100 lose about 1e-5.
TOLERANCE = {torch.float32: 1e-4, torch.float16: 1e-3, torch.bfloat16: 1e-2}

every_task = pytest.mark.parametrize("name", FILES, ids=lambda name: Path(name).stem)
task_of = functools.cache(load)


def all_cases(task: Task) -> tuple[Case, ...]:
    return (*task.cases, *task.held_out)


def widened(values: dict[str, Any]) -> dict[str, Any]:
    """Turn floating-point tensors into float64; leave indices and scalars alone."""
    return {k: v.double() if torch.is_tensor(v) and v.is_floating_point() else v for k, v in values.items()}


def shape_only(argument: Any) -> Any:
    """Return a tensor without memory for an Input; a scalar as it is."""
    if not isinstance(argument, Input):
        return argument
    return torch.empty(argument.shape, dtype=getattr(torch, argument.dtype), device="meta")


def error(out: torch.Tensor, truth: torch.Tensor) -> float:
    """Return the largest error relative to |truth| plus its root mean square; NaN counts as infinite."""
    worst = ((out.double() - truth).abs() / (truth.abs() + truth.square().mean().sqrt())).max().item()
    return math.inf if math.isnan(worst) else worst


def judge(run: Callable[..., torch.Tensor], task: Task, case: Case) -> str:
    """Say what is wrong with one result at the interpreter's size; nothing if it is right."""
    values = draw(case.arguments(small=True), 1, case.name)
    own, truth = reference(task)(**values), reference(task)(**widened(values))
    out = run(**values)
    if (out.shape, out.dtype) != (own.shape, own.dtype):
        return f"gave {out.dtype} {tuple(out.shape)}, expected {own.dtype} {tuple(own.shape)}"
    worst = error(out, truth)
    return "" if worst <= TOLERANCE[out.dtype] else f"error {worst:.2g} above {TOLERANCE[out.dtype]}"


def program(source: str, entry: str, folder: str, name: str) -> Callable[..., torch.Tensor]:
    """Import a candidate from a file of its own, since Triton reads kernels back from files."""
    path = Path(folder, f"{name}.py")
    path.write_text(source, encoding="utf-8")
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    function: Callable[..., torch.Tensor] = getattr(module, entry)
    return function


def judge_seeds(folder: str) -> Iterator[tuple[str, str]]:
    """Run every seed on every case, and one broken kernel; the process needs TRITON_INTERPRET=1."""
    for name in FILES:
        task = load(name)
        for seed in task.seeds:
            run = program(seed.source, task.entry, folder, f"{task.name}_{seed.name}")
            for case in all_cases(task):
                yield f"{task.name} {seed.name} {case.name}", judge(run, task, case)
    task = load("vector_add")
    broken = task.seeds[0].source.replace("offs < n - start", "offs < n - start - 1")
    yield "broken", judge(program(broken, task.entry, folder, "broken"), task, task.cases[0])


@pytest.fixture(scope="module")
def verdicts() -> dict[str, str]:
    """Judge all seeds in one process of its own: the interpreter is chosen when Triton is first imported."""
    env = {**os.environ, "TRITON_INTERPRET": "1", "PYTHONPATH": str(TEMPLATE.parents[1])}
    done = subprocess.run([sys.executable, __file__], env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found: dict[str, str] = json.loads(done.stdout)
    return found


def kernel_launches(source: str) -> list[ast.Call]:
    """Find `kernel[grid](...)` in a program."""
    calls = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]
    return [call for call in calls if isinstance(call.func, ast.Subscript)]


def test_ten_native_tasks_are_known() -> None:
    assert names() == [
        "embedding", "flip", "gelu_mul", "gemm_fp16", "layer_norm",
        "rms_norm", "row_sum", "softmax", "transpose", "vector_add",
    ]  # fmt: skip


@every_task
def test_a_task_has_four_public_and_three_held_out_cases_by_names_of_their_own(name: str) -> None:
    task = task_of(name)
    assert task.about
    assert len(task.cases) >= 4
    assert len(task.held_out) >= 3
    assert len({case.name for case in all_cases(task)}) == len(all_cases(task))
    assert all(case.small is not None for case in all_cases(task))


@every_task
def test_public_cases_vary_dtypes_and_distributions(name: str) -> None:
    inputs = [i for case in task_of(name).cases for i in case.inputs.values() if isinstance(i, Input)]
    dtypes = {i.dtype for i in inputs if i.distribution != "indices"}
    assert len(dtypes) >= (1 if name in ONE_DTYPE else 2)
    assert len({i.distribution for i in inputs} - {"indices"}) >= 3


@every_task
def test_no_tensor_is_larger_than_half_a_gigabyte(name: str) -> None:
    for case in all_cases(task_of(name)):
        assert all(i.bytes <= 2**29 for i in case.inputs.values() if isinstance(i, Input)), case.name


@every_task
def test_small_cases_differ_from_the_timed_ones_in_size_alone(name: str) -> None:
    def kind(a: Any) -> Any:
        return (a.dtype, a.distribution, a.order, len(a.shape)) if isinstance(a, Input) else a

    for case in all_cases(task_of(name)):
        for argument, cut in case.arguments(small=True).items():
            assert kind(cut) == kind(case.inputs[argument]), f"{case.name}: {argument}"


@every_task
def test_the_reference_follows_the_dtype_of_its_inputs(name: str) -> None:
    task = task_of(name)
    run = reference(task)
    for case in all_cases(task):
        values = draw(case.arguments(small=True), 1, case.name)
        first = next(iter(values.values()))
        own, truth = run(**values), run(**widened(values))
        assert (own.dtype, truth.dtype) == (first.dtype, torch.float64), case.name
        assert own.shape == truth.shape, case.name
        assert torch.isfinite(own).all(), f"{case.name} leaves the range of {own.dtype}"
        assert error(own, truth) <= TOLERANCE[own.dtype], case.name


@every_task
def test_no_case_takes_zeros_or_a_constant_for_the_result(name: str) -> None:
    task = task_of(name)
    for case in all_cases(task):
        truth = reference(task)(**widened(draw(case.arguments(small=True), 1, case.name)))
        limit = TOLERANCE[getattr(torch, next(iter(case.inputs.values())).dtype)]
        assert error(torch.zeros_like(truth), truth) > limit, case.name
        if truth.numel() > 1 and truth.shape[-1] > 1:
            assert error(truth.mean().expand_as(truth), truth) > limit, case.name


@every_task
def test_bytes_cover_the_result_and_no_more_than_every_operand_once(name: str) -> None:
    task = task_of(name)
    for case in all_cases(task):
        inputs = [a for a in case.inputs.values() if isinstance(a, Input)]
        out = reference(task)(**{k: shape_only(a) for k, a in case.inputs.items()})
        written = out.numel() * out.element_size()
        assert written <= case.bytes <= written + sum(i.bytes for i in inputs), case.name


@every_task
def test_a_seed_keeps_triton_to_itself_and_its_launcher_only_allocates(name: str) -> None:
    task = task_of(name)
    for seed in task.seeds:
        assert "\nimport triton\n" in seed.source
        assert "\nimport triton" not in task.source.replace(seed.source, "")
        nodes = list(ast.walk(ast.parse(seed.source)))
        assert task.entry in {n.name for n in nodes if isinstance(n, ast.FunctionDef)}
        attributes = [n for n in nodes if isinstance(n, ast.Attribute)]
        asked = {n.attr for n in attributes if isinstance(n.value, ast.Name) and n.value.id == "torch"}
        assert asked <= {"empty", "empty_like", "zeros"}


@every_task
def test_a_seed_has_tunable_numbers_at_every_launch(name: str) -> None:
    for seed in task_of(name).seeds:
        launches = kernel_launches(seed.source)
        assert launches
        for launch in launches:
            literals = {k.arg for k in launch.keywords if isinstance(k.value, ast.Constant)}
            assert "num_warps" in literals
            assert any(str(k).startswith("BLOCK") for k in literals)


@every_task
def test_a_seed_is_right_on_every_case(name: str, verdicts: dict[str, str]) -> None:
    task = task_of(name)
    mine = {k: v for k, v in verdicts.items() if k.split()[0] == task.name}
    assert len(mine) == len(task.seeds) * len(all_cases(task))
    assert {k: v for k, v in mine.items() if v} == {}


def test_a_kernel_that_leaves_out_the_last_element_is_seen(verdicts: dict[str, str]) -> None:
    assert verdicts["broken"].startswith("error")


TEXT = '''"""Double every element."""
from suites import Case, Input
entry = "double"
def reference(x):
    return x + x
cases = [Case("a", {"x": Input((8,))}, flops=8, bytes=64)]
held_out = [Case("b", {"x": Input((9,))}, flops=9, bytes=72)]
# evo-kernel: seed plain
def double(x):
    raise NotImplementedError
# evo-kernel: end
'''


def test_a_whole_task_file_becomes_a_task() -> None:
    task = read(TEXT, "double")
    assert (task.name, task.about, task.entry) == ("double", "Double every element.", "double")
    assert [case.name for case in all_cases(task)] == ["a", "b"]
    assert [s.name for s in task.seeds] == ["plain"]
    assert task.seeds[0].source == "def double(x):\n    raise NotImplementedError\n"
    assert reference(task)(2) == 4


def test_an_unknown_task_names_the_nearest() -> None:
    with pytest.raises(TaskError, match=r"no task named 'sofmax' \(nearest: softmax"):
        load("sofmax")


def test_a_task_like_no_other_gets_the_whole_list() -> None:
    with pytest.raises(TaskError, match=r"known: embedding, .*vector_add"):
        load("zzzzzzzzzz")


def test_a_path_to_nothing_is_named(tmp_path: Path) -> None:
    with pytest.raises(TaskError, match=r"no task file at .*absent\.py"):
        load(str(tmp_path / "absent.py"))


def test_a_file_that_is_not_text_is_named(tmp_path: Path) -> None:
    path = tmp_path / "binary.py"
    path.write_bytes(b"\xff\xfe\xff")
    with pytest.raises(TaskError, match=r"binary\.py cannot be read"):
        load(str(path))


@pytest.mark.parametrize(
    ("part", "instead", "message"),
    [
        ('"""Double every element."""', "", "no docstring"),
        ('entry = "double"', "", "no `entry"),
        ('entry = "double"', 'entry = "not a name"', "no `entry"),
        ("def reference", "def other", "no `def reference"),
        ("cases = [", "other = [", "no `cases = "),
        ("held_out = [", "other = [", "no `held_out = "),
        ("held_out = [", "held_out = [] and [", "no `held_out = "),
        (TEXT[TEXT.index("# evo-kernel: seed") :], "", "no seed kernel"),
    ],
)
def test_a_missing_part_is_named(part: str, instead: str, message: str) -> None:
    assert TEXT.count(part) == 1
    with pytest.raises(TaskError, match=message) as caught:
        read(TEXT.replace(part, instead), "double", "double.py")
    assert str(caught.value).startswith("task file double.py: it has")
    assert ";" not in str(caught.value), "one fault is reported as one"


def test_two_faults_are_named_at_once() -> None:
    text = TEXT.replace('entry = "double"', "").replace("def reference", "def other")
    with pytest.raises(TaskError, match=r"no `def reference.*; it has no `entry"):
        read(text, "double")


def test_a_seed_without_an_end_is_named() -> None:
    with pytest.raises(TaskError, match="seed 'plain' has no '# evo-kernel: end'"):
        read(TEXT.replace("# evo-kernel: end\n", ""), "double")


def test_a_seed_that_starts_inside_another_is_named_with_its_line() -> None:
    text = TEXT.replace("# evo-kernel: end\n", "# evo-kernel: seed second\n")
    with pytest.raises(TaskError, match="line 11: seed 'plain' is not ended before this one"):
        read(text, "double")


def test_an_end_without_a_seed_is_named_with_its_line() -> None:
    with pytest.raises(TaskError, match="line 8: 'evo-kernel: end' without a seed"):
        read(TEXT.replace("seed plain", "end"), "double")


def test_a_case_name_that_is_used_twice_is_named() -> None:
    with pytest.raises(TaskError, match="case names are used twice: a"):
        read(TEXT.replace('Case("b"', 'Case("a"'), "double")


def test_a_seed_name_that_is_used_twice_is_named() -> None:
    with pytest.raises(TaskError, match="seed names are used twice: plain"):
        read(TEXT + TEXT[TEXT.index("# evo-kernel: seed") :], "double")


def test_a_file_that_raises_is_one_line_with_its_place() -> None:
    with pytest.raises(TaskError, match=r"double\.py, line 3: ZeroDivisionError: ") as caught:
        read(TEXT.replace('entry = "double"', "1 / 0"), "double", "double.py")
    assert "\n" not in str(caught.value)


def test_a_syntax_error_after_a_seed_keeps_its_line() -> None:
    with pytest.raises(TaskError, match=r"task file double\.py, line 12: "):
        read(TEXT + "def (:\n", "double", "double.py")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        json.dump(dict(judge_seeds(scratch)), sys.stdout)
