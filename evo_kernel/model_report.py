"""What `show` and `--json` say of models: requests, calls, tokens and dollars, by operator and model."""

from typing import Any

from evo_kernel.correspondence import Correspondence
from operators.llm.budget import Amount
from operators.llm.model import PICO, dollars


def rows(letters: Correspondence) -> list[dict[str, Any]]:
    """Return what every operator used of every model, in answers that came."""
    found = []
    for (operator, model), requests in sorted(letters.requests.items()):
        used = letters.used.get((operator, model), Amount())
        found.append({
            "operator": operator, "model": model, "requests": requests, "calls": used.calls, "tokens": used.tokens,
            "dollars": used.dollars / PICO,
        })  # fmt: skip
    return found


def lines(found: list[dict[str, Any]]) -> list[str]:
    """Say it to a person; a run without models says nothing of them."""
    if not found:
        return []
    total = {n: sum(row[n] for row in found) for n in ("requests", "calls", "tokens", "dollars")}
    return [f"models: {_used(total)}", *(f"  {r['operator']:<10} {r['model']}: {_used(r)}" for r in found)]


def _used(row: dict[str, Any]) -> str:
    paid = dollars(round(row["dollars"] * PICO))
    return f"{row['requests']} requests, {row['calls']} calls, {row['tokens']} tokens, {paid}"
