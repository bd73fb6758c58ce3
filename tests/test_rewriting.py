"""A person can see every family of rewrites, where each applies, and what one makes of a program."""

import contextlib
import json
from pathlib import Path

import numpy as np
import pytest
import triton.language as tl
from click.testing import CliRunner

from archives.candidate import Candidate, fingerprint
from evo_kernel import rewriting
from evo_kernel.cli import main
from fitness.offered import without_block_pointers
from operators.proposal import Context, ProposalError
from operators.rewrites import families
from operators.rewrites.families import FAMILIES
from operators.rewrites.operator import Rewriting
from suites import load

ROOT = Path(__file__).parent.parent
SOFTMAX = load("softmax").seeds[0].source


def run(*arguments: str):
    return CliRunner().invoke(main, ["rewrites", *arguments])


def test_every_family_is_listed_with_its_intent() -> None:
    listed = run().output
    assert all(f"{f.name} " in listed and f.intent in listed for f in FAMILIES)
    assert {f["name"] for f in json.loads(run("--json").output)} == {f.name for f in FAMILIES}


@pytest.mark.parametrize("gone", [False, True])
def test_a_family_whose_programs_the_installed_triton_refuses_is_not_offered(
    gone: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(families, "without_block_pointers", lambda: gone)
    seed = load("vector_add").seeds[0].source
    drawn, seen = set(), {fingerprint(seed)}
    with contextlib.suppress(ProposalError):  # at the end all were proposed before
        while True:
            context = Context(np.random.default_rng(len(seen)), seen.__contains__, "h200", "cuda")
            made = Rewriting().propose([Candidate(seed, "seed", "", (), "", "")], context)
            seen.add(fingerprint(made.source))
            drawn.add(made.intent.partition(":")[0])
    assert len(drawn) > 4
    assert ("block-pointers" in drawn) is not gone
    listed = run("vector_add").output
    assert ("(not offered: the installed Triton has no block pointers any more)" in listed) is gone
    applied = run("vector_add", "--apply", "block-pointers")
    assert (applied.exit_code, "block-pointers is not offered" in applied.output) == (int(gone), gone)


def test_what_is_said_of_the_installed_triton_is_what_it_does() -> None:
    does = (
        NotImplementedError if without_block_pointers() else AttributeError
    )  # the latter: it asks a builder that is none
    with pytest.raises(does):
        tl.make_block_ptr(None, (), (), (), (), (), _semantic=object())


def test_places_are_numbered_as_they_are_applied(tmp_path: Path) -> None:
    (powers,) = [f for f in rewriting.families(SOFTMAX) if f.name == "exp-to-exp2"]
    assert len(powers.places) == SOFTMAX.count("tl.exp(") == 2
    assert f"2. {powers.places[1]}" in run("softmax").output
    second = run("softmax", "--apply", "exp-to-exp2", "--place", "2")
    assert second.output.count("tl.exp2(") == 1
    assert second.output.index("tl.exp(") < second.output.index("tl.exp2(")
    made = tmp_path / "mine.py"
    assert run("softmax", "--apply", "exp-to-exp2", "--out", str(made)).exit_code == 0
    assert made.read_text() == rewriting.rewrite(SOFTMAX, "exp-to-exp2")
    changed = [
        line for line in run("softmax", "--apply", "exp-to-exp2", "--diff").output.splitlines() if "exp2" in line
    ]
    assert len(changed) == 2
    foreign = tmp_path / "foreign.py"
    foreign.write_bytes(SOFTMAX.replace("\n", "\r\n").encode())
    assert run(str(foreign), "--apply", "exp-to-exp2", "--out", str(tmp_path / "kept.py")).exit_code == 0
    assert (tmp_path / "kept.py").read_bytes().decode() == made.read_text().replace("\n", "\r\n")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("softmax", "--apply", "exp-to-exp"), "there is no rewrite 'exp-to-exp'; did you mean exp-to-exp2?"),
        (("softmax", "--apply", "split-k"), "split-k applies nowhere in this program"),
        (("softmax", "--apply", "exp-to-exp2", "--place", "3"), "applies at places 1 to 2, not at 3"),
        (("softmax", "--diff"), "want --apply FAMILY"),
        (("--apply", "split-k"), "wants a TASK or a FILE"),
        (("softmax", "--apply", "zzz"), "there is no rewrite 'zzz': `evo-kernel rewrites` lists them"),
        (("sofmax",), "sofmax is no task, and no file that can be read; did you mean softmax?"),
        (("nothing.py",), "nothing.py is no task, and no file that can be read"),
        ((str(ROOT / "README.md"),), "cannot be rewritten"),
        ((str(ROOT / "evo_kernel" / "rules.py"),), "it has no function under @triton.jit"),
    ],
)
def test_what_cannot_be_done_is_one_line(arguments: tuple[str, ...], told: str) -> None:
    result = run(*arguments)
    assert result.exit_code != 0
    assert told in result.output
    assert "Traceback" not in result.output


def test_of_a_tasks_file_its_first_seed_is_rewritten(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text(load("softmax").source)
    for more in ((), ("--apply", "exp-to-exp2")):
        assert run(str(file), *more).output == run("softmax", *more).output


def test_a_file_that_is_there_is_not_written_over(tmp_path: Path) -> None:
    made = tmp_path / "mine.py"
    made.write_text("mine")
    result = run("softmax", "--apply", "exp-to-exp2", "--out", str(made))
    assert result.exit_code == 1
    assert "cannot write" in result.output
    assert made.read_text() == "mine"
