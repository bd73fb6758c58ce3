"""Other people's benchmarks: what is read of a checkout, what of it runs without a GPU, and which tests test nothing."""

import json
import shutil
from importlib import metadata
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from evo_kernel.cli import main
from suites import foreign
from suites.foreign import Loaded, registry

HERE = Path(__file__).parent / "suites"
GEAK, KERNELBENCH = HERE / "geak", HERE / "kernelbench"


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(a) for a in arguments])


def show(name: str, root: Path) -> dict:
    result = run("suite", "show", name, "--root", root, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


class TestWhatIsReadOfACheckout:
    def test_every_task_loads_or_is_named_with_its_reason(self) -> None:
        found = {t.name: t for t in foreign.loader("tritonbench-revised").load(GEAK)}
        assert list(found) == ["double", "increment", "lost", "endless", "unlisted"]
        assert found["lost"].problem == "lost.py is missing"
        assert "146 #" in (found["unlisted"].problem or "")
        double = found["double"]
        assert (double.problem, double.group, double.entries) == (None, "1", ("double_kernel",))
        assert "def double(x)" in double.source
        assert "def double(x)" not in double.tests
        assert "result_gold = test_double()" in double.tests

    def test_a_newer_checkout_without_the_list_of_tasks_is_read_by_its_folder_and_says_what_is_unknown(
        self, tmp_path: Path
    ) -> None:
        newer = tmp_path / "newer"
        shutil.copytree(GEAK, newer)
        loader = foreign.loader("tritonbench-revised")
        for file in newer.rglob("*.json"):
            file.unlink()
        (newer / "setup.py").write_text('setup(version="9.9")')
        found = {t.name: t for t in loader.load(newer)}
        assert set(found) == {"double", "increment", "endless", "unlisted"}
        assert found["double"].problem is None
        assert found["double"].group is None
        notes = "\n".join(loader.notes(newer))
        assert "instructions and levels are unknown" in notes
        assert "version 9.9 is unknown (tried: 0.1.0)" in notes

    def test_problems_of_kernelbench_come_in_the_order_of_their_numbers_and_name_the_packages_they_lack(self) -> None:
        told = show("kernelbench", KERNELBENCH)
        assert [t["name"] for t in told["tasks"]][:2] == ["level1/2_Relu", "level1/10_Relu"]
        foreign_one, half = told["tasks"][2:]
        assert (foreign_one["loaded"], foreign_one["needs"]) == (True, ["a_package_that_nobody_has"])
        assert half["problem"] == "it does not define Model, get_init_inputs"
        assert "level3 has 0 problems; the versions that were tried have 50" in told["notes"]

    def test_the_native_tasks_are_a_suite_too(self) -> None:
        told = json.loads(run("suite", "show", "native", "--json").stdout)
        assert told["loaded"] == told["count"] >= 10
        assert ["softmax"] in [t["entries"] for t in told["tasks"]]

    def test_reading_runs_nothing_and_writes_nothing(self, tmp_path: Path) -> None:
        trap = tmp_path / "trap"
        shutil.copytree(GEAK, trap)
        mark = tmp_path / "it ran"
        for file in trap.rglob("*.py"):
            file.write_text(f"open({str(mark)!r}, 'w')\n" + file.read_text())
        before = {p: p.read_bytes() for p in trap.rglob("*") if p.is_file()}
        for name in ("tritonbench-revised", "rocm"):
            assert show(name, trap)["loaded"]
        assert not mark.exists()
        assert before == {p: p.read_bytes() for p in trap.rglob("*") if p.is_file()}


class TestWhatCannotBeRead:
    @pytest.mark.parametrize(
        ("arguments", "words"),
        [
            (("kernelbench", "--root", GEAK), "looked for the folder KernelBench"),
            (("rocm", "--root", GEAK / "absent"), "is no folder"),
            (("rocm",), "needs --root CHECKOUT"),
            (("kernelbnch", "--root", GEAK), "nearest: kernelbench"),
        ],
    )
    def test_a_root_that_is_not_the_suite_is_refused_in_one_line(self, arguments: tuple, words: str) -> None:
        result = run("suite", "show", *arguments)
        assert result.exit_code == 1
        assert words in result.output
        assert len(result.output.strip().splitlines()) == 1

    @pytest.mark.parametrize(
        ("text", "words"),
        [
            ("{", "is no JSON"),
            ('[{"file": 3}]', "no text under file"),
            ('[{"file": "../x", "instruction": ""}]', "outside"),
        ],
    )
    def test_a_list_of_tasks_that_is_broken_is_refused_in_one_line(self, tmp_path: Path, text: str, words: str) -> None:
        broken = tmp_path / "broken"
        shutil.copytree(GEAK, broken)
        next(broken.rglob("ROCm*.json")).write_text(text)
        result = run("suite", "show", "rocm", "--root", broken)
        assert result.exit_code == 1
        assert words in result.output
        assert len(result.output.strip().splitlines()) == 1


class Mine:
    """A suite of somebody else's."""

    name, about, looks_for = "mine", "one task", ()

    def load(self, root: Path) -> list[Loaded]:
        return [Loaded(name="only", file="only.py", style="module", source="x = 1\n", entries=("x",))]

    def notes(self, root: Path) -> tuple[str, ...]:
        return (f"read at {root.name}",)


class TestOtherPeoplesSuites:
    def plug(self, monkeypatch: pytest.MonkeyPatch, value: str, name: str = "mine") -> None:
        point = metadata.EntryPoint(name, value, registry.GROUP)
        monkeypatch.setattr(metadata, "entry_points", lambda group: (point,) if group == registry.GROUP else ())

    def test_a_loader_is_found_by_its_entry_point(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        self.plug(monkeypatch, f"{__name__}:Mine")
        assert "one task" in run("suite", "list").stdout
        told = show("mine", tmp_path)
        assert [t["name"] for t in told["tasks"]] == ["only"]
        assert told["notes"] == [f"read at {tmp_path.name}"]

    @pytest.mark.parametrize(
        ("value", "name", "words"),
        [("absent_module:Mine", "mine", "No module named"), ("json:loads", "mine", "lacks name, about, looks_for"),
         ("json:loads", "rocm", "a suite rocm already")],
    )  # fmt: skip
    def test_what_is_no_loader_is_named(
        self, monkeypatch: pytest.MonkeyPatch, value: str, name: str, words: str
    ) -> None:
        self.plug(monkeypatch, value, name)
        result = run("suite", "list")
        assert result.exit_code == 1
        assert words in result.output
