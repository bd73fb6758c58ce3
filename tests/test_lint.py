"""The task linter: every native task refuses every wrong program, and tasks that cannot are told what to change."""

from pathlib import Path

import pytest
import torch
from click.testing import CliRunner
from natives import LINTED
from torch import nn

import evo_kernel
from evo_kernel.cli import main
from fitness import checking
from fitness.lint import ACCEPTED, DOUBTFUL, NOT_APPLICABLE, REFUSED, Finding, doubts, faults, lint
from fitness.mutants import MUTANTS
from fitness.skipping import How, without
from fitness.skipping import names as names_of_reductions
from suites import TaskError, load, read
from suites.loading import TEMPLATE, functions
from suites.trials import few, interpretable

pytestmark = pytest.mark.usefixtures("shared_jails")

TASK = '''"""A toy for the linter."""
import torch
from suites import Case, Input, edge
entry = "toy"
def reference(x):
    return {operation}
def case(name, shape, distribution="normal", dtype="float32", trials=None):
    x = Input(shape, dtype, distribution, trials=trials)
    return Case(name, {{"x": x}}, flops=1, bytes=max(1, 2 * x.bytes))
cases = [{cases}]
held_out = [case("other", (5, 33))]
{more}
# evo-kernel: seed plain
def toy(x):
    return x
# evo-kernel: end
'''


def findings(operation: str, cases: str = 'case("a", (9, 70))', more: str = "") -> dict[str, Finding]:
    task = read(TASK.format(operation=operation, cases=cases, more=more), "toy")
    return {f.name: f for f in lint(task)}


HONEST = "def one(x):\n    return reference(x)\ndef two(x):\n    return reference(x)\nhonest = [one, two]"


def states(found: dict[str, Finding]) -> dict[str, str]:
    return {name: f.state for name, f in found.items()}


@pytest.mark.parametrize("name", [*LINTED, str(TEMPLATE)], ids=lambda name: Path(name).stem)
def test_a_native_task_refuses_every_wrong_program_and_accepts_every_honest_one(name: str) -> None:
    found = lint(load(name), seed=1)
    assert (faults(found), doubts(found)) == ([], [])
    by_name = {f.name: f.state for f in found}
    assert by_name.keys() >= MUTANTS.keys()
    unfit = {n for n in MUTANTS if by_name[n] != REFUSED}
    assert unfit <= {"the identity"}, "only where no input has the shape of the result"
    honest = [state for n, state in by_name.items() if n.startswith("honest ")]
    assert len(honest) >= 3
    assert set(honest) == {ACCEPTED}


def test_a_task_whose_results_are_constant_is_refused_with_what_to_change() -> None:
    found = findings("torch.softmax(x, -1)", 'case("a", (64, 1)), case("b", (7, 1), "heavy")')
    assert found["a constant"].state == ACCEPTED
    told = faults(tuple(found.values()))
    assert any(t.startswith("a constant would pass every case: let the results depend on the inputs") for t in told)


def test_zeros_that_are_always_right_are_refused_and_not_excused() -> None:
    assert findings("x * 0")["zeros"].fault is not None
    assert findings("x * float('nan')")["a constant"].fault is not None


def test_one_degenerate_case_beside_a_good_one_is_no_fault() -> None:
    found = findings("torch.softmax(x, -1)", 'case("a", (64, 1)), case("b", (7, 40))', HONEST)
    assert states(found)["a constant"] == REFUSED
    assert not faults(tuple(found.values()))


def test_a_wrong_program_that_is_right_is_not_applicable() -> None:
    copied = states(findings("x.clone()"))
    assert copied["the identity"] == NOT_APPLICABLE
    assert copied["half the data"] == REFUSED
    first = states(findings("x[:, :20].sum(-1)"))  # the second half of a row is never asked for
    assert first["half the data"] == NOT_APPLICABLE
    assert first["a skipped reduction"] == REFUSED
    lower = states(findings("torch.cat([x, torch.zeros_like(x)])"))  # the last tile is zero by definition
    assert lower["the last tile zero"] == NOT_APPLICABLE
    assert lower["the last tile never written"] == REFUSED


def test_bfloat16_inside_is_no_wrong_program_where_bfloat16_holds_every_value() -> None:
    assert states(findings("x + x", 'case("a", (9, 70), dtype="bfloat16")'))["bfloat16 inside"] == NOT_APPLICABLE
    signs = findings("x * 3", 'case("a", (9, 70), "signs", trials=("signs",))')
    assert signs["bfloat16 inside"].state == NOT_APPLICABLE
    assert states(findings("x * 3", 'case("a", (9, 70), "signs")'))["bfloat16 inside"] == REFUSED


def test_a_bank_of_low_precision_lets_bfloat16_pass_and_the_task_is_refused() -> None:
    more = "def low(x):\n    return (x.bfloat16() * 1.5).float()\ndef also(x):\n    return low(x)\nhonest = [low, also]"
    found = findings("x * 1.5", 'case("a", (9, 70), "offset", trials=("offset",))', more)
    assert found["bfloat16 inside"].state == ACCEPTED
    told = faults(tuple(found.values()))
    assert any("bfloat16 inside would pass every case" in t and "implementations of low precision" in t for t in told)


def test_an_honest_implementation_that_the_others_do_not_allow_is_named_with_its_case() -> None:
    more = "def good(x):\n    return x.double().exp().float()\ndef bad(x):\n    return x.half().exp().float()\nhonest = [good, bad]"
    found = findings("torch.exp(x)", more=more)
    assert found["honest good"].state == ACCEPTED
    assert found["honest bad"].state == REFUSED
    fault = found["honest bad"].fault
    assert fault is not None
    assert "honest `bad` is refused in case a, " in fault


def test_every_output_is_judged_on_its_own() -> None:
    found = states(findings("(x.sum(-1), x * 0 + 7)"))
    assert found["a constant, output 0"] == REFUSED
    assert found["a constant, output 1"] == ACCEPTED


def test_the_linter_uses_the_trials_that_candidates_go_through() -> None:
    task = load("softmax")
    cases = (*task.cases, *(e for e in task.edges if interpretable(e)))
    trials = [t for group in few(task, cases).values() for t in group]
    zeros = next(f for f in lint(task) if f.name == "zeros")
    solid = [t for t in trials if all(a.elements for a in t.arguments.values())]
    assert zeros.detail == f"by {len(solid)} of {len(solid)} trials"
    assert len(functions(task).honest) == len(task.honest)


def test_the_command_refuses_a_degenerate_task_with_status_1(tmp_path: Path) -> None:
    file = tmp_path / "degenerate.py"
    file.write_text(TASK.format(operation="torch.softmax(x, -1)", cases='case("a", (64, 1))', more=""))
    result = CliRunner().invoke(main, ["tasks", "check", str(file)])
    assert result.exit_code == 1
    assert "task degenerate cannot be used: a constant would pass every case" in result.output


def test_the_python_api_gives_the_same_findings() -> None:
    assert evo_kernel.check("row_sum") == lint(load("row_sum"))


def test_a_file_that_ends_its_process_is_one_line_and_status_1(tmp_path: Path) -> None:
    file = tmp_path / "broken.py"
    file.write_text(TASK.format(operation="x", cases='case("a", (9, 70))', more="import os; os._exit(0)"))
    result = CliRunner().invoke(main, ["tasks", "check", str(file)])
    assert result.exit_code == 1
    (line,) = result.output.splitlines()
    assert line.endswith("broken.py, while it was read: ended with exit status 0 and gave no result")


RUN = "while its functions were run: "
ENDINGS = {
    "raises": ("x @ x", "its functions cannot be run: RuntimeError: "),
    "raises what nobody expects": ("{}['x']", f"{RUN}KeyError: 'x'"),
    "ends": ("__import__('os')._exit(0)", f"{RUN}ended with exit status 0 and gave no result"),
    "crashes": ("__import__('os').abort()", f"{RUN}was killed by SIGABRT"),
    "never ends": ("[0 for _ in iter(int, 1)]", f"{RUN}did not finish within 2 s"),
}


@pytest.mark.parametrize("how", ENDINGS)
def test_whatever_a_reference_does_is_said(how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    operation, said = ENDINGS[how]
    if how == "never ends":
        monkeypatch.setattr(checking, "SECONDS", 2.0)
    text = TASK.format(operation=operation, cases='case("a", (9, 70))', more="")
    with pytest.raises(TaskError) as caught:
        checking.check(text, "broken", "broken.py")
    assert said in str(caught.value)


def test_a_kernel_alone_is_told_from_a_task() -> None:
    kernel = "import triton\n\n@triton.jit\ndef k(x):\n    pass\n"
    with pytest.raises(TaskError, match="a kernel alone is no task: `evo-kernel tasks new NAME` begins"):
        read(kernel, "kernel", "kernel.py")


def test_a_bank_of_fewer_than_three_is_refused_where_results_are_floating() -> None:
    more = "def one(x):\n    return x + x\nhonest = [one]"
    (fault,) = faults(tuple(findings("x * 2", more=more).values()))
    assert "rest on 2 honest implementation(s), the reference counted; 3 are needed" in fault
    assert "honest = [f, g]" in fault
    assert faults(tuple(findings("(x > 0) & (x < 0.5)").values())) == []  # no error to be limited


SMALL_TERM = "x * 2 + x.mean(-1, keepdim=True) * 1e-4"


def test_a_reduction_is_left_out_alone_though_the_same_input_is_used_otherwise() -> None:
    half = findings(SMALL_TERM, 'case("a", (9, 1000), dtype="float16")')
    assert half["a skipped reduction"].state == REFUSED
    assert half["reduction 1 (mean) taken as 0"].state == ACCEPTED
    assert "reduction 1 (mean) taken as 0 would pass every case" in str(half["reduction 1 (mean) taken as 0"].fault)
    assert states(findings(SMALL_TERM, 'case("a", (9, 1000))'))["reduction 1 (mean) taken as 0"] == REFUSED


def test_a_reduction_is_cut_short_too_which_a_task_may_miss_that_sees_it_sampled() -> None:
    found = findings("x * 2 + x.mean(-1, keepdim=True) * 3e-3", 'case("a", (9, 1000), dtype="float16")')
    assert {found[f"reduction 1 (mean) {how}"].state for how in (How.SAMPLED, How.ZERO)} == {REFUSED}
    assert "reduction 1 (mean) without its last tile would pass every case" in str(
        found["reduction 1 (mean) without its last tile"].fault
    )


PIECES = {  # what PyTorch does at once: its reductions, and those that change nothing here when they are cut
    "attention": (lambda x: nn.functional.scaled_dot_product_attention(x, x, x), ["bmm", "amax", "sum", "bmm"], [1]),
    "batch normalisation": (lambda x: nn.functional.batch_norm(x, None, None, training=True), ["mean", "mean"], []),
    "a recurrent network": (lambda x: nn.LSTM(8, 4).double()(x[0, :2])[0], ["addmm"] * 3, [1]),  # it begins with 0
    "pooling": (lambda x: nn.functional.avg_pool2d(x, 2), ["avg_pool2d"], []),
    "a choice": (lambda x: x.topk(3).values, ["topk"], []),
    "a scatter": (lambda x: x[0].clone().index_add(0, torch.tensor([1, 1, 0]), x[0, :3] + 1), ["index_add"], []),
}


@pytest.mark.parametrize("what", PIECES)
def test_what_pytorch_does_in_one_piece_has_its_reductions_left_out_too(what: str) -> None:
    function, wanted, silent = PIECES[what]
    x = torch.randn(2, 4, 6, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(0))

    def same_weights(x: torch.Tensor) -> torch.Tensor:
        torch.manual_seed(0)
        return function(x)

    assert names_of_reductions(same_weights, [x]) == wanted
    right = same_weights(x)
    cut = [without(same_weights, [x], n, How.CUT) for n in range(len(wanted))]
    assert [n for n, made in enumerate(cut) if torch.allclose(made, right)] == silent
    assert without(same_weights, [x], len(wanted), How.CUT) is None


def test_an_argument_that_changes_nothing_and_cases_of_one_tile_are_doubted() -> None:
    two = TASK.replace("def reference(x):", "def reference(x, y):").replace('{{"x": x}}', '{{"x": x, "y": x}}')
    two = two.replace("def toy(x)", "def toy(x, y)")
    for operation, shape, wanted in (
        ("x * 2", "(9, 200)", {"`y` matters"}), ("x + y", "(9, 200)", set()), ("x + y", "(9, 70)", {"more than one tile"})
    ):  # fmt: skip
        task = read(
            two.format(operation=operation, cases=f'case("a", {shape})', more=HONEST.replace("(x)", "(x, y)")), "toy"
        )
        found = lint(task)
        assert {f.name for f in found if f.state == DOUBTFUL} == wanted
        assert len(doubts(found)) == len(wanted)


def test_a_flag_that_changes_nothing_is_doubted_and_a_case_without_elements_is_a_fault() -> None:
    two = TASK.replace("def reference(x):", "def reference(x, flag):").replace('{{"x": x}}', '{{"x": x, "flag": True}}')
    two = two.replace("def toy(x)", "def toy(x, flag)")
    honest = HONEST.replace("(x)", "(x, flag)")
    for operation, wanted in (("x * 2", {"`flag` matters"}), ("x * 2 if flag else x", set())):
        found = lint(read(two.format(operation=operation, cases='case("a", (9, 200))', more=honest), "toy"))
        assert {f.name for f in found if f.state == DOUBTFUL} == wanted
    empty = findings("x * 2", 'case("a", (9, 200)), case("none", (0, 3))', HONEST)
    assert [f.name for f in empty.values() if f.fault] == ["case none"]


def test_every_input_is_sampled_alone_and_along_every_dimension() -> None:
    two = TASK.replace("def reference(x):", "def reference(x, y):").replace(
        '{{"x": x}}', '{{"x": x, "y": Input((70, 40), dtype)}}'
    )
    task = read(
        two.format(operation="x @ y", cases='case("a", (50, 70))', more="").replace("def toy(x)", "def toy(x, y)"),
        "toy",
    )
    found = states({f.name: f for f in lint(task)})
    wanted = {f"`{name}` sampled along dimension {d}" for name in "xy" for d in (0, 1)} | {"reduction 1 (mm) sampled"}
    assert {found[name] for name in wanted} == {REFUSED}
    # a mean that softmax takes away again: nobody can miss it
    shifted = states(findings("torch.softmax(x - x.mean(-1, keepdim=True), -1)"))
    assert shifted["reduction 1 (mean) taken as 0"] == NOT_APPLICABLE
    assert (shifted["reduction 2 (amax) taken as 0"], shifted["reduction 3 (sum) sampled"]) == (REFUSED, REFUSED)
