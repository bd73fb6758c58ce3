"""What a suite's loader gives: one record for each task of theirs, whole or with the reason why it cannot be used."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

Style = Literal["module", "function", "pytest", "script", "model", "native"]
"""How a task's own test is run.

`module` and `function`: by importing the file, where the reference is a Triton program or plain PyTorch; `pytest`;
`script`: by running a file of theirs; `model`: as a torch module; `native`: by our own judge.
"""


class SuiteError(Exception):
    """A checkout that cannot be used: what was looked for, what was found, what to do."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """One task of a suite, as text; `problem` says in one line why it cannot be used."""

    name: str
    file: str  # its path below the root
    style: Style
    group: str | None = None  # its difficulty level or category, as the suite calls it
    source: str = ""  # the program that a candidate would replace
    tests: str = ""  # what runs and compares it
    entries: tuple[str, ...] = ()  # the kernels, functions or classes that a candidate must define
    instruction: str = ""  # what the suite tells a model
    needs: tuple[str, ...] = ()  # packages that it imports and that are not installed here: it loads, and cannot run
    problem: str | None = None
    category: str | None = None  # what kind of work it is, where a suite says that beside a level
    files: tuple[tuple[str, str], ...] = ()  # path and text of what else its test needs beside it
    thresholds: tuple[tuple[str, float], ...] = ()  # names and values of the limits that replace a suite's usual ones
    place: str = ""  # where among `files` the program lies, for a script
    command: tuple[str, ...] = ()  # the script and its arguments
    timing: tuple[tuple[str, str], ...] = ()  # path and text of what takes the suite's own times, beside `files`
    untimed: str = ""  # what takes those times and cannot be read; the task itself can be used
    timed: tuple[str, ...] = ()  # the script that takes them and its arguments, where it is one


class Loader(Protocol):
    """Reads one suite. Other people's are found by the entry point group `evo_kernel.suites`."""

    name: str
    about: str  # one line
    looks_for: tuple[str, ...]  # paths below the root that show it is this suite; the first that is missing is named

    def load(self, root: Path) -> Iterator[Loaded]:
        """Yield every task; raise SuiteError where the root is not this suite."""

    def notes(self, root: Path) -> tuple[str, ...]:
        """Say in a line each what the checkout lacks, and what is not known of its version."""
