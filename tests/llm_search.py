"""What tests of searches that ask models share: a scripted model, and a pool that judges by a formula.

The model's skill is that of a knob operator and of ten kernels written by hand: it finds the program in the prompt,
and answers with an edit of a knob, or, where it knows the task, with a better program.
"""

import re
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from llm_server import Asked

from archives.candidate import digest
from evo_kernel import config, runs
from evo_kernel.config import Settings
from evo_kernel.pools import Done
from evo_kernel.population import Population, Progress
from fitness.evaluation import Basis, CaseResult, Evaluation, Failure, Resources, Stage
from operators import knobs
from operators.knowledge import library
from suites import Task

EXAMPLES = {e.entry: e.source for e in library.own()}


def skilled(asked: Asked) -> str:
    """Answer as a model that knows the example kernels and moves knobs; what it draws depends on the prompt alone.

    It reads programs as text: it runs in threads of the server, and Python 3.11 parses in one thread at a time.
    """
    if "Do not write code yet" in asked.text:
        return '```plans\n[{"title": "knobs", "steps": ["one knob", "another"]}]\n```'
    shown = re.findall(r"^```python\n(.*?)^```$", asked.text + "\n", re.MULTILINE | re.DOTALL)
    entry = re.findall(r"defines the launcher `(\w+)`", asked.system)[0]
    programs = [s for s in shown if f"def {entry}(" in s]
    if not programs:
        return "I see no program."
    known = EXAMPLES.get(entry)
    if known and known.strip() not in (s.strip() for s in programs):
        return f"```python\n{known}```"
    parent = programs[0] if "# First program" in asked.text else programs[-1]
    knobs = list(re.finditer(r"\b(BLOCK\w*|num_warps)=(\d+)", parent))
    rng = np.random.default_rng(int(digest(asked.text), 16))
    chosen = knobs[int(rng.integers(len(knobs)))]
    value = max(1, int(chosen[2]) * int(rng.choice([2, 4, 8])) // int(rng.choice([1, 1, 2])))
    child = f"{parent[: chosen.start(2)]}{value}{parent[chosen.end(2) :]}"
    if "Answer with the whole program" in asked.text:
        return f"```python\n{child}```"
    pairs = [(a, b) for a, b in zip(parent.splitlines(), child.splitlines(), strict=True) if a != b]
    return "\n".join(f"<<<<<<< SEARCH\n{a}\n=======\n{b}\n>>>>>>> REPLACE" for a, b in pairs)


class FormulaPool:
    """Judges by a formula: the larger BLOCK the faster; some numbers of warps fail."""

    def __init__(self, task: Task, settings: Settings, secret: int | None = None) -> None:
        self.names, self.target = [c.name for c in task.cases], settings.target
        self.tickets: list[tuple[int, str]] = []

    def free(self) -> int:
        return 2 - len(self.tickets)

    def submit(self, ticket: int, source: str, against: Mapping[str, str]) -> None:
        self.tickets.append((ticket, source))

    def wait(self, seconds: float) -> list[Done]:
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
    runs.begin(folder, config.load(None, {**settings, "models": models, **given}), task)
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
