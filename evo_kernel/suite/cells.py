"""Writes tables of a suite's report: their cells, and the parts of a suite that they have rows for."""

from collections.abc import Callable, Sequence
from typing import Any

FAST = (1.0, 1.5, 2.0)  # of fast_p

Cell = Callable[[dict[str, Any]], str]


def table(columns: dict[str, Cell], rows: Sequence[dict[str, Any]]) -> list[str]:
    """Return a table's lines; what a failed program says may hold the bar between two cells."""
    head = ["| " + " | ".join(columns) + " |", "|" + "---|" * len(columns)]
    cells = [[cell(row).replace("|", "\\|") for cell in columns.values()] for row in rows]
    return head + ["| " + " | ".join(row) + " |" for row in cells]


def us(value: float | None) -> str:
    """Write microseconds."""
    return "-" if value is None else f"{value:.2f}"


def percent(value: float | None) -> str:
    """Write a share."""
    return "-" if value is None else f"{100 * value:.1f}%"


def times(value: float | None) -> str:
    """Write a speedup."""
    return "-" if value is None else f"{value:.3f}x"


def share(measure: str, key: str) -> Cell:
    """Return the cell of one value of a measure that has several."""
    return lambda row: percent(row[measure][key])


def parts(report: dict[str, Any]) -> list[dict[str, Any]]:
    """List what is measured: all tasks, each level, each category."""
    found = [("all", report["all"])]
    found += [(f"level {name}", level) for name, level in report["levels"].items()]
    found += list(report["categories"].items())
    return [{"name": name, **part} for name, part in found]
