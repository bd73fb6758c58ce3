"""The README says what works: its Python is run, its commands exist, its files are there."""

import re
import subprocess
import sys
from pathlib import Path

import click
import pytest

from evo_kernel.cli import main

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()


@pytest.mark.long
def test_the_python_in_the_readme_runs(tmp_path: Path) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "kernels/vector_add_mi300_" in done.stdout


def test_every_command_and_option_in_the_readme_exists() -> None:
    lines = re.findall(r"^ {4}evo-kernel ([^#\n]+)", README, re.MULTILINE) + re.findall(r"`evo-kernel ([^`]+)`", README)
    assert len(lines) > 8
    for line in lines:
        words = line.split()
        command: click.Command = main
        while isinstance(command, click.Group) and words:
            command = command.commands[words.pop(0)]
        options = {o for p in command.params for o in p.opts}
        assert {w for w in words if w.startswith("--")} <= options, line


def test_the_make_targets_and_files_in_the_readme_exist() -> None:
    makefile = (ROOT / "Makefile").read_text()
    for target in re.findall(r"^ {4}make (\w+)", README, re.MULTILINE):
        assert f"\n{target}:" in makefile
    for path in re.findall(r"\]\(([\w./]+)\)", README) + re.findall(r"`([\w/]+\.(?:py|md))`", README):
        if path != "my_task.py":
            assert (ROOT / path).is_file(), path


def test_the_architecture_names_files_and_tests_that_exist() -> None:
    text = (ROOT / "ARCHITECTURE.md").read_text() + (ROOT / "CONTRIBUTING.md").read_text()
    for path in re.findall(r"`([\w/]+/[\w.]+\.py)(?::\w+)?`", text):
        if "NAME" not in path:
            assert (ROOT / path).is_file(), path
    tests = "".join(p.read_text() for p in (ROOT / "tests").glob("*.py"))
    for name in re.findall(r"`(test_\w+)`", text):
        assert f"def {name}(" in tests, name
