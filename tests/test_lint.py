"""The task linter: every native task refuses every wrong program, and tasks that cannot are told what to change."""

from pathlib import Path

import pytest
from click.testing import CliRunner

import evo_kernel
from evo_kernel.cli import main
from fitness.lint import ACCEPTED, MUTANTS, NOT_APPLICABLE, REFUSED, Finding, faults, lint
from suites import load, names, read
from suites.loading import TEMPLATE, functions
from suites.trials import few, interpretable

TASK = '''"""A toy for the linter."""
import torch
from suites import Case, Input, edge
entry = "toy"
def reference(x):
    return {operation}
def case(name, shape, distribution="normal", dtype="float32", trials=None):
    x = Input(shape, dtype, distribution, trials=trials)
    return Case(name, {{"x": x}}, flops=1, bytes=2 * x.bytes)
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


def states(found: dict[str, Finding]) -> dict[str, str]:
    return {name: f.state for name, f in found.items()}


@pytest.mark.parametrize("name", [*names(), str(TEMPLATE)], ids=lambda name: Path(name).stem)
def test_a_native_task_refuses_every_wrong_program_and_accepts_every_honest_one(name: str) -> None:
    for seed in (0, 1):
        found = lint(load(name), seed)
        assert faults(found) == []
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


def test_one_degenerate_case_beside_a_good_one_is_no_fault() -> None:
    found = findings("torch.softmax(x, -1)", 'case("a", (64, 1)), case("b", (7, 40))')
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


def test_a_reference_that_raises_is_one_line(tmp_path: Path) -> None:
    file = tmp_path / "broken.py"
    file.write_text(TASK.format(operation="x @ x", cases='case("a", (9, 70))', more=""))
    result = CliRunner().invoke(main, ["tasks", "check", str(file)])
    assert result.exit_code == 1
    assert "task broken: its functions cannot be run: RuntimeError: " in result.output
