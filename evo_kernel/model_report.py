"""What `show` and `--json` say of models: requests, calls, tokens and dollars, by operator and model."""

from collections.abc import Sequence
from typing import Any

from evo_kernel.correspondence import Correspondence
from operators.llm.budget import Amount
from operators.llm.model import PICO, dollars
from operators.llm.settings import ModelSettings, made


def rows(letters: Correspondence, models: Sequence[ModelSettings]) -> list[dict[str, Any]]:
    """Return what every operator used of every model, in answers that came; None is what nobody counts, or prices.

    `no_answer` counts the requests without an answer by reason, of the latest few reasons.
    """
    known = {m.label: m for m in made(models)}
    found = []
    for (operator, model), requests in sorted(letters.requests.items()):
        used = letters.used.get((operator, model), Amount())
        found.append({
            "operator": operator, "model": model, "requests": requests, "calls": used.calls,
            "tokens": used.tokens if used.tokens or (model in known and known[model].counted) else None,
            "dollars": used.dollars / PICO if used.dollars or (model in known and known[model].price) else None,
            "no_answer": dict(letters.unanswered.get((operator, model), {})),
        })  # fmt: skip
    return found


def lines(found: list[dict[str, Any]]) -> list[str]:
    """Say it to a person; a run without models says nothing of them."""
    if not found:
        return []
    total = {n: _sum([row[n] for row in found]) for n in ("requests", "calls", "tokens", "dollars")}
    more = ", and what has no known price" if any(r["dollars"] is None for r in found) and total["dollars"] else ""
    return [
        f"models: {_used(total)}{more}",
        *(f"  {r['operator']:<10} {r['model']}: {_used(r)}{_lost(r)}" for r in found),
    ]


def _lost(row: dict[str, Any]) -> str:
    """Say how many requests got no answer, and why."""
    return "".join(f"; {count} without an answer: {why}" for why, count in row["no_answer"].items())


def _sum(values: list[Any]) -> Any:
    """Add up what is known; None where nothing is."""
    known = [value for value in values if value is not None]
    return sum(known) if known else None


def _used(row: dict[str, Any]) -> str:
    tokens = "tokens not counted" if row["tokens"] is None else f"{row['tokens']} tokens"
    paid = "price not known" if row["dollars"] is None else dollars(round(row["dollars"] * PICO))
    return f"{row['requests']} requests, {row['calls']} calls, {tokens}, {paid}"
