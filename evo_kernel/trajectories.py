"""Writes what a run said to models as rows for training: prompt, reply, verdict, gain; secrets are taken out."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from archives.events import Judged, Proposed, Refused
from archives.journal import Journal
from evo_kernel.calls import FILE, Asking, Calls, Turn
from evo_kernel.errors import RunError
from fitness.evaluation import Evaluation
from operators.llm.secrets import scrubbed


def write(folder: Path, file: Path) -> int:
    """Write one JSON object a line for every turn that was answered; return how many."""
    with Journal.read(folder) as journal:
        events = list(journal.events())
    if not (folder / FILE).is_file():
        raise RunError(f"{folder} asked no model: it has no {FILE}")
    calls = Calls(folder, reading=True)
    try:
        rows = [json.dumps(scrubbed(row)) for row in _rows(calls, _Outcomes(events))]
    finally:
        calls.close()
    try:
        file.write_text("".join(f"{row}\n" for row in rows), encoding="utf-8")
    except OSError as error:
        raise RunError(f"cannot write {file}: {error.strerror}") from error
    return len(rows)


class _Outcomes:
    """What became of each request, by number."""

    def __init__(self, events: list[Any]) -> None:
        self.proposed = {e.number: e.candidate for e in events if isinstance(e, Proposed)}
        self.judged = {e.number: e.evaluation for e in events if isinstance(e, Judged)}
        self.refused = {e.number: e.why for e in events if isinstance(e, Refused)}
        self.scores = {
            self.proposed[n].id: e.score_us for n, e in self.judged.items() if e.passed and n in self.proposed
        }  # fmt: skip

    def of(self, number: int) -> dict[str, Any]:
        """Return the verdict on a request as plain data; the gain is the first parent's time over the child's."""
        candidate, e = self.proposed.get(number), self.judged.get(number)
        if candidate is None or e is None:
            why = self.refused.get(number)
            return {"outcome": "unfinished" if why is None else "refused", "why": why}
        parent = self.scores.get(candidate.parents[0]) if candidate.parents else None
        gain = parent / e.score_us if parent is not None and e.passed else None
        return {"outcome": "passed" if e.passed else "failed", "why": _why(e), "candidate": candidate.id,
                "basis": e.basis.value, "time_us": e.score_us if e.passed else None, "gain": gain}  # fmt: skip


def _rows(calls: Calls, outcomes: _Outcomes) -> Iterator[dict[str, Any]]:
    for asking in calls.requests():
        for place, turn in enumerate(calls.turns(asking.number)):
            if turn.reply is not None:
                yield _row(asking, place, turn) | outcomes.of(asking.number)


def _row(asking: Asking, place: int, turn: Turn) -> dict[str, Any]:
    usage = None if turn.usage is None else {n: getattr(turn.usage, n) for n in turn.usage.__slots__}
    return {
        "request": asking.number, "turn": place, "operator": asking.operator, "model": asking.model,
        "parents": list(asking.parents), "system": turn.prompt.system, "prompt": turn.prompt.text,
        "reply": turn.reply, "usage": usage,
    }  # fmt: skip


def _why(e: Evaluation) -> str | None:
    return None if e.failure is None else f"{e.failure.stage} ({e.failure.kind}): {e.failure.message}"
