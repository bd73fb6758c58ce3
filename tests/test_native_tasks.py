"""Native tasks and the template keep the promises of a task file, and a broken task file is explained."""

import ast
import functools
import importlib.util
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import torch
from natives import cheapest

from evo_kernel.cli_running import terminated_like_interrupted
from fitness import yardstick
from fitness.jobs.interpret import prepare
from fitness.tolerance import Yardstick
from suites import Case, Input, Task, TaskError, load, names, read
from suites.loading import ALIASES, TEMPLATE, find, functions, reference
from suites.native import TEN
from suites.task import CATEGORIES, LEVELS
from suites.trials import draw, trials

FILES = [*names(), str(TEMPLATE)]
# In which every input has one dtype, which is in its name or what the operation is about.
ONE_DTYPE = {"gemm_fp16", "matmul_mxfp", "chained_dot_fp8", "random_int", "randn"}
BY_VALUES = {"moe_gemm"}  # its reference must look at values even to know shapes

every_task = pytest.mark.parametrize("name", FILES, ids=lambda name: Path(name).stem)
task_of = functools.cache(load)


def all_cases(task: Task) -> tuple[Case, ...]:
    return (*task.cases, *task.held_out)


def judge(run: Callable[..., Any], task: Task, case: Case) -> str:
    """Say what is wrong with one result at the interpreter's size; nothing if it is right."""
    values, limits = ground(task, case)
    made = yardstick.outputs(run(**values))
    worst = [yardstick.ratio(limit, out)[0] for limit, out in zip(limits, made, strict=True)]
    return "" if max(worst) <= 1.0 else f"errors are {worst} of their limits"


def ground(task: Task, case: Case) -> tuple[dict[str, Any], tuple[Yardstick, ...]]:
    """Draw a case's own values at the interpreter's size, and set the limits of its results."""
    base, *_ = trials(task, case, small=True)
    values = draw(base, 1)
    return values, yardstick.compute(functions(task), values, base)


def shape_only(argument: Any) -> Any:
    """Return a tensor without memory for an Input; a scalar as it is."""
    if not isinstance(argument, Input):
        return argument
    return torch.empty(argument.shape, dtype=getattr(torch, argument.dtype), device="meta")


def program(source: str, entry: str, folder: str, name: str) -> Callable[..., Any]:
    """Import a candidate from a file of its own, since Triton reads kernels back from files."""
    path = Path(folder, f"{name}.py")
    path.write_text(source, encoding="utf-8")
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    function: Callable[..., Any] = getattr(module, entry)
    return function


def judge_seeds(folder: str) -> Iterator[tuple[str, str]]:
    """Run every seed on its cheapest case, and one broken kernel; the process needs TRITON_INTERPRET=1."""
    prepare()
    for name in FILES:
        task = load(name)
        for seed in task.seeds:
            run = program(seed.source, task.entry, folder, f"{task.name}_{seed.name}")
            for case in (cheapest(task),):
                yield f"{task.name} {seed.name} {case.name}", judge(run, task, case)
    task = load("vector_add")
    # what fresh memory holds may be the right result of another run: zeros are not
    broken = (
        task.seeds[0].source.replace("offs < n - start", "offs < n - start - 1").replace("torch.empty", "torch.zeros")
    )
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


def test_the_thirty_of_the_rocm_benchmark_and_five_of_quantization_are_known_by_their_names() -> None:
    thirty = [
        "tma_store_gemm",
        "moe_gemm",
        "layernorm",
        "multreduce_matmul",
        "multreduce_matmul_dot",
        "gemm",
        "block_pointer_matmul",
        "block_copy",
        "add",
        "softmax",
        "rmsnorm_fwd",
        "rmsnorm_bwd",
        "chained_dot_fp8",
        "matmul_mxfp",
        "gemm_fusion",
        "swizzle2d",
        "sort",
        "flip",
        "reverse_range",
        "load_reduce",
        "chained_matmul",
        "random_int",
        "randn",
        "sub",
        "dot",
        "batched_vecmat",
        "flashattention_fwd",
        "iv_dependent_matmul",
        "gemm_no_scf",
        "cast_matmul",
    ]
    quantization = ["int8_gemm_scaled", "fp8_gemm_scaled", "int4_weight_gemm", "per_token_quant", "dequantize"]
    found = {name: find(name)[1] for name in (*thirty, *quantization)}
    assert len(set(found.values())) == 35
    assert {name for name, own in found.items() if own != name} == set(ALIASES) == {
        "add", "gemm", "layernorm", "rmsnorm_fwd"
    }  # fmt: skip
    assert set(names()) == {*TEN, *found.values()}


@every_task
def test_a_task_has_four_public_and_three_held_out_cases_by_names_of_their_own(name: str) -> None:
    task = task_of(name)
    assert task.about
    assert (task.category in CATEGORIES, task.level in LEVELS) == (True, True)
    assert len(task.honest) >= 2
    assert len(task.cases) >= 4
    assert len(task.held_out) >= 3
    assert len({case.name for case in all_cases(task)}) == len(all_cases(task))
    assert all(case.small is not None for case in all_cases(task))


@every_task
def test_public_cases_vary_dtypes_and_distributions(name: str) -> None:
    inputs = [i for case in task_of(name).cases for i in case.inputs.values() if isinstance(i, Input)]
    dtypes = {i.dtype for i in inputs if i.distribution != "indices"} or {i.dtype for i in inputs}
    assert len(dtypes) >= (1 if Path(name).stem in ONE_DTYPE else 2)
    drawn = {i.distribution for i in inputs} - {"indices"}
    assert len(drawn) >= 3 or drawn <= {"integers", "signs"}


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
            if argument in ("n", "rows", "cols"):  # a number that is a size
                continue
            assert kind(cut) == kind(case.inputs[argument]), f"{case.name}: {argument}"


@every_task
def test_the_reference_gives_float64_from_float64_and_finite_numbers_of_its_own_dtypes_otherwise(name: str) -> None:
    task = task_of(name)
    case = cheapest(task)
    values, limits = ground(task, case)
    own, truth = (yardstick.outputs(reference(task)(**v)) for v in (values, yardstick.lifted(values)))
    for out, wide, limit in zip(own, truth, limits, strict=True):
        assert wide.dtype == (torch.float64 if out.is_floating_point() else out.dtype)
        assert out.shape == wide.shape
        assert torch.isfinite(out).all(), f"{case.name} leaves the range of {out.dtype}"
        assert yardstick.ratio(limit, out)[0] <= 1.0
        assert yardstick.ratio(limit, torch.zeros_like(out))[0] > 1.0, "zeros are right"


@every_task
def test_bytes_cover_the_result_and_no_more_than_every_operand_once(name: str) -> None:
    task = task_of(name)
    for case in all_cases(task):
        inputs = [a for a in case.inputs.values() if isinstance(a, Input)]
        if task.name in BY_VALUES:
            continue
        made = yardstick.outputs(reference(task)(**{k: shape_only(a) for k, a in case.inputs.items()}))
        written = sum(out.numel() * out.element_size() for out in made)
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
        assert asked <= {"empty", "empty_like", "zeros", "float32", "bfloat16", "int32", "int8"}


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
def test_a_seed_is_right_on_its_cheapest_case(name: str, verdicts: dict[str, str]) -> None:
    task = task_of(name)
    mine = {k: v for k, v in verdicts.items() if k.split()[0] == task.name}
    assert len(mine) == len(task.seeds)
    assert {k: v for k, v in mine.items() if v} == {}


def test_a_kernel_that_leaves_out_the_last_element_is_seen(verdicts: dict[str, str]) -> None:
    assert verdicts["broken"].startswith("errors are")


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
    with pytest.raises(TaskError, match=r"known: batched_vecmat, .*vector_add"):
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


@pytest.mark.parametrize(
    ("text", "said"), [("raise SystemExit(0)", "SystemExit: 0"), ("raise KeyboardInterrupt", "KeyboardInterrupt")]
)
def test_what_ends_a_process_is_the_files_own_fault_with_its_line(text: str, said: str) -> None:
    def fault() -> str:
        with pytest.raises(TaskError) as caught:
            read(f"import torch\n{text}\n", "double", "double.py")
        return str(caught.value)

    handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    assert fault() == f"task file double.py, line 2: {said}"
    with ThreadPoolExecutor(1) as pool:  # as a suite's tasks are read
        assert pool.submit(fault).result() == f"task file double.py, line 2: {said}"
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == handlers


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_persons_interrupt_while_a_task_file_runs_is_no_fault_of_the_file(number: signal.Signals) -> None:
    text = f"import os, time\nos.kill(os.getpid(), {int(number)})\ntime.sleep(60)\n"
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
    try:
        with terminated_like_interrupted(), pytest.raises(KeyboardInterrupt):
            read(text, "double", "double.py")
    finally:
        signal.signal(signal.SIGINT, before)


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
