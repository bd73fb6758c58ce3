"""A small search for tests: real journal, history, proposer and operators, driven over HTTP by a scripted model.

The model's skill is that of a knob operator and of ten kernels written by hand: it finds the program in the prompt,
and answers with an edit of a knob, or, where it knows the task, with a better program. Run as a program, it goes on where it was killed.
"""

import json
import re
import sys
import time
from collections.abc import Callable
from pathlib import Path

import msgpack
import numpy as np
from llm_server import Asked

from archives.candidate import Candidate, digest, fingerprint
from archives.events import Judged, Proposed, Refused
from archives.journal import Journal
from evo_kernel.briefs import History, folded
from evo_kernel.calls import Asking, Calls
from evo_kernel.proposer import Proposer, Said
from fitness import targets
from fitness.evaluation import Basis, CaseResult, Evaluation, Failure, Stage
from operators import knobs
from operators.knowledge import library
from operators.knowledge.library import Library
from operators.llm.briefing import Briefed
from operators.llm.budget import Budget
from operators.llm.lessons import Lesson
from operators.llm.model import Limits, Model
from operators.llm.operators import talkers
from operators.llm.retries import Patience
from suites import Task
from suites.task import unpack

CHIP = targets.find("mi300")
EXAMPLES = {e.entry: e.source for e in library.own()}
TURNS = ("optimize", "strategise", "generate", "recombine", "reflect")


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


def candidate(source: str, operator: str = "seed", intent: str = "", parents: tuple[str, ...] = ()) -> Candidate:
    return Candidate(source, operator, intent, parents, fingerprint(source), knobs.structure(source))


def by_block(source: str) -> Evaluation:
    """Judge by a formula: the larger BLOCK the faster; some numbers of warps fail."""
    values = {k.rpartition(".")[2]: v or 0 for k, v in knobs.values(source).items()}
    failure = Failure(Stage.CORRECTNESS, "wrong", "too many warps") if values.get("num_warps", 4) > 8 else None
    time = 1e4 / (values["BLOCK"] + values.get("num_warps", 4))
    cases = () if failure else tuple(CaseResult(n, time, 0.1, 0.1, "memory") for n in ("1M", "1M-fp16"))
    return Evaluation("mi300", Basis.PREDICTED, "process", failure, cases)


class Mini:
    """Asks for programs by number until so many requests have ended."""

    def __init__(self, folder: Path, task: Task, models: list[Model], judge: Callable[[str], Evaluation],
                 limits: Limits | None = None, wide: int = 4) -> None:  # fmt: skip
        self.task, self.judge, self.models = task, judge, models
        self.journal = Journal.append_to(folder) if (folder / "journal.db").exists() else Journal.create(folder)
        self.history: History = folded(self.journal.events())
        self.known = {e.candidate.fingerprint for e in self.journal.events() if isinstance(e, Proposed)}
        events = list(self.journal.events())
        self.ended = {e.number for e in events if isinstance(e, (Proposed, Refused))}
        judged = {e.number for e in events if isinstance(e, Judged)}
        self.calls = Calls(folder)
        budget = Budget(models, limits or Limits(), time.monotonic, self.calls.spent())
        self.proposer = Proposer(talkers(), models, budget, self.calls, concurrency=wide, patience=Patience(2, 0.01))
        for event in events:
            if isinstance(event, Proposed) and event.number not in judged:
                self.record(Judged(event.number, judge(event.candidate.source)))
        if 0 not in self.ended:
            self.take(0, candidate(task.seeds[0].source))
        self.waiting = {a.number: a for a in self.calls.open_requests() if a.number not in self.ended}
        for number in sorted(self.ended):
            self.calls.close_request(number)
        self.next = max([*self.ended, *self.waiting], default=0) + 1

    def run(self, count: int) -> None:
        while len(self.ended) < count:
            while self.proposer.free() and (self.waiting or self.next < count):
                self.begin(self.waiting.pop(min(self.waiting)) if self.waiting else self.ask())
            ended = self.proposer.wait(0.2)
            if not ended and not self.proposer.models:
                break
            for said in ended:
                self.end(said)

    def close(self) -> None:
        self.proposer.close()
        self.calls.close()
        self.journal.close()

    def ask(self) -> Asking:
        number, self.next = self.next, self.next + 1
        operator = TURNS[number % len(TURNS)]
        ranked = self.history.ranked()
        failed = self.history.latest_failure()
        chosen = {"generate": [], "recombine": ranked[:2], "reflect": [failed] if failed else []}.get(
            operator, ranked[:1]
        )
        if (operator == "reflect" and not failed) or (operator == "recombine" and len(ranked) < 2):
            operator, chosen = "optimize", ranked[:1]
        return Asking(number, operator, self.models[number % len(self.models)].label, tuple(t.id for t in chosen))

    def begin(self, asking: Asking) -> None:
        tried = [self.history.find(i) for i in asking.parents]
        lessons = (Lesson(f"this is request {asking.number}", "hip"),)
        brief = self.history.brief(self.task, CHIP, tried, asking.operator, Library(), lessons)
        context = Briefed(np.random.default_rng(asking.number), self.known.__contains__, "mi300", "hip", brief=brief)
        parents = [candidate(t.source, t.operator, t.intent, t.parents) for t in tried]
        self.proposer.submit(asking, parents, context)

    def end(self, said: Said) -> None:
        asking, made = said.asking, said.proposal
        if made is None or fingerprint(made.source) in self.known:
            self.record(Refused(asking.number, asking.operator, asking.parents, said.why or "known"))
        else:
            self.take(asking.number, candidate(made.source, asking.operator, made.intent, asking.parents))
        self.ended.add(asking.number)
        self.calls.close_request(asking.number)

    def take(self, number: int, c: Candidate) -> None:
        self.record(Proposed(number, c))
        self.known.add(c.fingerprint)
        self.ended.add(number)
        self.record(Judged(number, self.judge(c.source)))

    def record(self, event: Proposed | Judged | Refused) -> None:
        self.journal.append(event)
        self.history.tell(event)


def main(folder: str, task: str, url: str, count: str) -> None:
    what = unpack(msgpack.unpackb(Path(task).read_bytes()))
    search = Mini(Path(folder), what, [Model("openai", "tiny", url, output=500)], by_block)
    search.run(int(count))
    print(json.dumps({"best": search.history.ranked()[0].evaluation.score_us}))  # noqa: T201
    search.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
