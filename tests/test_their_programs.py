"""Programs as people write them for other suites: other names, other imports, a whole file, and what they may not reach."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from evo_kernel.cli import main
from fitness import draws, ours, theirs
from fitness.foreign import FLAVOUR
from fitness.jail import Jail
from suites import foreign
from suites.foreign import Loaded, handing
from suites.task import Task

pytestmark = pytest.mark.usefixtures("shared_jails")

HERE = Path(__file__).parent / "suites"
DOUBLE = Path("geak_eval/data/TritonBench/data/TritonBench_G_v1/double.py")


@pytest.fixture(scope="module")
def jail(jails: Callable[[str], Jail]) -> Jail:
    return jails(FLAVOUR)


def found(suite: str, folder: Path, name: str) -> Loaded:
    return next(t for t in foreign.loader(suite).load(folder) if t.name == name)


def run(suite: str, *given: object) -> Result:
    return CliRunner().invoke(main, ["suite", "judge", suite, *map(str, given), "--on", "interpreter", "--json"])


def verdicts(made: Result) -> tuple[object, object]:
    (one,) = json.loads(made.stdout)["tasks"]
    return one["passed"], one["ours"]["passed"]


CONSTANTS = {
    "another name of the package": ("import triton.language as tl", "import triton.language as L", "L.constexpr"),
    "the package's whole name": ("", "", "triton.language.constexpr"),
    "the class alone": ("import triton.language as tl", "from triton.language import constexpr", "constexpr"),
    "the class under another name": ("import triton.language as tl", "from triton.language import constexpr as C", "C"),
    "text": ("import torch\n", "from __future__ import annotations\nimport torch\n", '"tl.constexpr"'),
}


@pytest.mark.parametrize("what", CONSTANTS)
def test_a_constant_is_one_by_whatever_name_the_compiler_takes_for_it(what: str, tmp_path: Path) -> None:
    old, new, said = CONSTANTS[what]
    whole = (HERE / "geak" / DOUBLE).read_text().replace('"tl.constexpr"', said)
    kept = "" if "import triton.language as tl" not in old else "import triton.language as tl\n"
    (tmp_path / "mine.py").write_text(whole.replace(old, f"{kept}{new}", 1) if old else whole)
    made = run("tritonbench-revised", tmp_path / "mine.py", "--task", "double", "--root", HERE / "geak")
    assert verdicts(made) == (True, True), made.output


def test_a_file_with_the_suites_tests_in_it_is_judged_without_them(tmp_path: Path) -> None:
    whole = (HERE / "geak" / DOUBLE).read_text()
    (tmp_path / "whole.py").write_text(whole)
    made = run("tritonbench-revised", tmp_path / "whole.py", "--task", "double", "--root", HERE / "geak")
    assert verdicts(made) == (True, True)
    assert f"{tmp_path / 'whole.py'} holds the task's tests too: they are left out\n" in made.stderr


def test_a_rule_of_signs_in_a_program_is_no_end_of_it(tmp_path: Path) -> None:
    program = (HERE / "geak" / DOUBLE).read_text().partition("#" * 146)[0]
    (tmp_path / "mine.py").write_text(f"{'#' * 160}\n# mine\n{'#' * 146}\n{program}")
    made = run("tritonbench-revised", tmp_path / "mine.py", "--task", "double", "--root", HERE / "geak")
    assert verdicts(made) == (True, True)
    assert "are left out" not in made.stderr


def test_a_parameter_may_have_a_built_in_functions_name(tmp_path: Path) -> None:
    root = tmp_path / "geak"
    shutil.copytree(HERE / "geak", root)
    text = (root / DOUBLE).read_text().replace("def double(x):", "def double(input):\n    x = input")
    (root / DOUBLE).write_text(text)
    assert verdicts(run("tritonbench-revised", "--task", "double", "--root", root)) == (True, True)


def test_what_a_program_compares_is_not_its_scripts_comparison(jail: Jail) -> None:
    negate = found("agent-kernel-arena", HERE / "arena", "own/negate")
    for line in ("assert torch.allclose(x, x)", "torch.testing.assert_close(x, x)", "assert not torch.equal(x, x + 1)",
                 "eval('torch.equal(x, x)')"):  # fmt: skip
        asks = negate.source.replace("    return y\n", f"    {line}\n    return y\n")
        assert asks != negate.source
        assert theirs.judge(negate, asks, jail, 30).passed is True
    wrong = asks.replace("-tl.load", "tl.load").replace(line, "torch.allclose(-x, -x, rtol=1e-4, atol=1e-4)")
    assert theirs.judge(negate, wrong, jail, 30).passed is False


class TestTheReferenceOfAModule:
    """A program beside the reference would need no kernel: it could call it."""

    def test_it_is_not_in_the_programs_child(self, jail: Jail) -> None:
        layer = found("kernelbench", HERE / "kernelbench", "level3/1_Layer")
        borrowed = "import reference\n\n\nclass ModelNew(reference.Model):\n    pass\n"
        one = theirs.judge(layer, borrowed, jail, 30)
        assert (one.passed, one.why) == (
            False,
            "exception: AttributeError: module 'reference' has no attribute 'Model'",
        )

    def test_its_text_is_not_either(self, jail: Jail) -> None:
        layer = found("kernelbench", HERE / "kernelbench", "level3/1_Layer")
        looks = """
import sys
import torch

frame, texts = sys._getframe(), []
while frame is not None:
    texts += [t for v in frame.f_locals.values() if isinstance(v, dict) for t in v.values() if isinstance(t, str)]
    frame = frame.f_back
theirs = {}
exec(next(t for t in texts if "class " + "Model(nn" in t), theirs)


class ModelNew(theirs["Model"]):
    pass
"""
        one = theirs.judge(layer, looks, jail, 30)
        assert (one.passed, one.why) == (False, "exception: StopIteration: ")

    def test_what_draws_its_inputs_keeps_the_classes_that_this_needs(self) -> None:
        text = "class Model:\n    pass\n\nclass Wide:\n    size = Twice\n\nclass Twice:\n    pass\n\ndef get_inputs():\n    return [Wide()]"
        kept = draws.alone(text)
        assert [name for name in ("Model", "Wide", "Twice") if f"class {name}:" in kept] == ["Wide", "Twice"]

    def test_a_program_found_for_our_task_brings_the_parameters_module_along(self, jail: Jail) -> None:
        layer = found("kernelbench", HERE / "kernelbench", "level3/1_Layer")
        own = ours.turn("kernelbench", layer, jail)
        for gain, right in (("gain", True), ("1.01 * gain", False)):
            program = "import torch\n\n\ndef forward(x, gain, weight, bias):\n"
            program += f"    return torch.tanh(x @ weight.T + bias) * {gain}\n"
            assert theirs.judge(layer, handing.theirs(own, program), jail, 60).passed is right


SIGNED = "def twice(x, alpha=1, *, out=None):\n    return alpha * 2 * x\n"
CALLS = ("inputs(6)", "inputs(3), alpha=2")


@pytest.fixture(scope="module")
def signed() -> Loaded:
    twice = found("kernelbench-x", HERE / "kernelbenchx", "Math/twice")
    text = twice.source.replace("def twice(x):\n    return 2 * x\n", SIGNED)
    tests = twice.tests.replace("inputs(6)", CALLS[0]).replace("inputs(3)", CALLS[1])
    return replace(twice, source=text, tests=tests, thresholds=())


@pytest.fixture(scope="module")
def own(signed: Loaded, jail: Jail) -> Task:
    return ours.turn("kernelbench-x", signed, jail)


class TestWhatATestLeavesToItsDefault:
    """A program need take only what the suite's test gives it, by the names that the test writes."""

    def test_our_launcher_gives_what_the_test_gives_and_by_its_names(self, own: Task) -> None:
        assert handing.ours(own, "").endswith(
            "def evo_twice(x, alpha):\n    made = twice(x, alpha=alpha)\n    return made\n"
        )

    def test_a_found_program_keeps_to_the_form_that_was_called(self, signed: Loaded, own: Task, jail: Jail) -> None:
        handed = handing.theirs(own, "def evo_twice(x, alpha):\n    return 2 * alpha * x\n")
        assert "for calls of one form alone: out=None" in handed
        assert theirs.judge(signed, handed, jail, 30).passed is True
        assert theirs.judge(signed, handed.replace("2 * alpha", "3 * alpha"), jail, 30).passed is False
