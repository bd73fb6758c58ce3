"""What tests of searches that ask models share: a scripted model, and a pool that judges by a formula.

The model's skill is that of a knob operator and, for one task, of ten better kernels written by hand: it finds the
program in the prompt, and answers with an edit of a knob, or with edits that make a better program of it.
"""

import re
import sys
import threading
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from llm_server import Asked

from archives.candidate import digest
from evo_kernel import config_files, runs
from evo_kernel.config import Settings
from evo_kernel.pools import Done
from evo_kernel.population import Population
from evo_kernel.progress import Progress
from fitness.evaluation import Basis, CaseResult, Evaluation, Failure, Resources, Stage
from operators import knobs
from suites import Task

IMPROVED = Path(__file__).parent / "improved"
PROGRAMS = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
KNOB = re.compile(r"\b((?:BLOCK|ROWS)\w*|num_warps)=(\d+)")
PLANS = '```plans\n[{"title": "knobs", "steps": ["one knob", "another"]}]\n```'


def skilled(asked: Asked) -> str:
    """Answer as a model that moves knobs; what it draws depends on the prompt alone.

    It reads programs as text: it runs in threads of the server, and Python 3.11 parses in one thread at a time.
    """
    if "Do not write code yet" in asked.text:
        return PLANS
    parent = shown(asked)
    return "I see no program." if parent is None else written(asked, parent, moved(parent, asked.text))


def widened(asked: Asked) -> str:
    """Answer as a model that makes blocks eight times as large, so that every child of a program that passed gains."""
    if "Do not write code yet" in asked.text:
        return PLANS
    parent = shown(asked)
    if parent is None:
        return "I see no program."
    return written(asked, parent, re.sub(r"\b(BLOCK)=(\d+)", lambda knob: f"{knob[1]}={8 * int(knob[2])}", parent))


def shown(asked: Asked) -> str | None:
    """Return the program of a prompt that an answer would edit."""
    entry = re.findall(r"defines the launcher `(\w+)`", asked.system)[0]
    programs = [s for s in PROGRAMS.findall(asked.text + "\n") if f"def {entry}(" in s]
    if not programs:
        return None
    return programs[0] if "# First program" in asked.text else programs[-1]


def moved(parent: str, text: str) -> str:
    """Give one knob of a program another value."""
    knobs = list(KNOB.finditer(parent))
    rng = np.random.default_rng(int(digest(text), 16))
    chosen = knobs[int(rng.integers(len(knobs)))]
    value = int(chosen[2]) * int(rng.choice([2, 4])) if rng.random() < 0.8 else max(1, int(chosen[2]) // 2)
    return f"{parent[: chosen.start(2)]}{value}{parent[chosen.end(2) :]}"


def written(asked: Asked, parent: str | None, child: str) -> str:
    """Write an answer that makes the child: whole where edits cannot be, else what changed between its ends."""
    if parent is None or "Answer with the whole program" in asked.text:
        return f"```python\n{child}```"
    old, new = parent.split("\n"), child.split("\n")
    if old == new:
        return "I would leave it."
    first = next(i for i in range(len(old)) if old[: i + 1] != new[: i + 1])
    last = next(i for i in range(len(old)) if old[len(old) - i - 1 :] != new[len(new) - i - 1 :])
    while parent.count("\n".join(old[first : len(old) - last])) != 1 or first > len(old) - last - 1:
        first, last = max(0, first - 1), max(0, last - 1)
    parts = ("\n".join(lines[first : len(lines) - last]) for lines in (old, new))
    return "<<<<<<< SEARCH\n{}\n=======\n{}\n>>>>>>> REPLACE".format(*parts)


class Improver:
    """Answers as a model that knows ten better kernels of one task, one after another, and afterwards moves knobs.

    Every third answer holds a mistake, which it repairs when it is shown what came of it.
    """

    RIGHT, WRONG = "tl.maximum(x * w, 0.0)", "tl.maximum(x * w, 1.0)"

    def __init__(self) -> None:
        self.known = [path.read_text() for path in sorted(IMPROVED.glob("[01]*.py"))]
        self._left, self._answers, self._lock = list(self.known), 0, threading.Lock()

    def __call__(self, asked: Asked) -> str:
        if "Do not write code yet" in asked.text:
            return PLANS
        parent = shown(asked)
        if asked.text.startswith("This program fails") and parent is not None and self.WRONG in parent:
            return written(asked, parent, parent.replace(self.WRONG, self.RIGHT))
        with self._lock:
            self._answers += 1
            child = self._left[0] if self._left else moved(parent or self.known[0], asked.text)
            if self._answers % 3 == 0:  # of a variant, so that the repaired one is new
                child = re.sub(
                    r"num_warps=(\d+)", lambda knob: "num_warps=2" if knob[1] != "2" else "num_warps=4", child
                )
                child = child.replace(self.RIGHT, self.WRONG)
            elif self._left:
                del self._left[0]
        return written(asked, parent, child)


class FormulaPool:
    """Judges by a formula: the larger BLOCK the faster; some numbers of warps fail."""

    def __init__(self, task: Task, settings: Settings, secret: int | None = None) -> None:
        self.names, self.target = [c.name for c in task.cases], settings.target
        self.tickets: list[tuple[int, str]] = []

    def free(self) -> int:
        return 2 - len(self.tickets)

    def submit(self, ticket: int, source: str) -> None:
        self.tickets.append((ticket, source))

    def wait(self, seconds: float, against: Mapping[str, str] | None = None) -> list[Done]:
        ended, self.tickets = self.tickets, []
        return [Done(ticket, self.verdict(source), 0.01) for ticket, source in ended]

    def verdict(self, source: str) -> Evaluation:
        values = {k.rpartition(".")[2]: v or 0 for k, v in knobs.values(source).items()}
        failure = Failure(Stage.CORRECTNESS, "wrong", "too many warps") if values.get("num_warps", 4) > 8 else None
        time = 1e4 / (values["BLOCK"] + values.get("num_warps", 4))
        cases = () if failure else tuple(CaseResult(n, time, 0.1, 0.1, "memory") for n in self.names)
        width = 4.0 if values["BLOCK"] < 512 else 16.0  # another cell
        kernels = (Resources("k", 32, 30, 0, 0, 0, 4, 8, 0, width, "code"),)
        program = digest(repr((time, width)))
        return Evaluation(self.target, Basis.PREDICTED, "process", failure, cases, kernels, program)

    def close(self) -> None:
        self.tickets.clear()


def begin(folder: Path, task: Task, models: list[object], **given: object) -> Path:
    """Begin a run of 24 evaluations; without the tuner, which has tests of its own, it costs half."""
    settings = {"generations": 3, "population": 8, "target": "mi300", "basis": "predicted", "pool": "inline"}
    settings["operators"] = ("knob-step", "knob-cross")
    runs.begin(folder, config_files.load(None, {**settings, "models": models, **given}), task)
    return folder


def drive(folder: Path) -> Progress:
    population = Population(folder, FormulaPool)
    try:
        while not (progress := population.advance(0.2)).done:
            pass
    finally:
        population.close()
    return progress


if __name__ == "__main__":  # a process of its own, to be killed
    drive(Path(sys.argv[1]))
