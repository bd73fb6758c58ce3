"""Runs native_clock.py, one process a task, and says what its rows hold: a line for each task, and the table."""

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import Any

Row = dict[str, Any]

CLOCK = Path(__file__).with_name("native_clock.py")
LONGEST = 150.0  # seconds for one task
# a process compiles by itself: several run side by side
SETTINGS = {"TORCHINDUCTOR_COMPILE_THREADS": "1", "OMP_NUM_THREADS": "2"}
HEAD = (
    "| task | level | seed us | eager us | compiled us | eager / seed | compiled / seed | seed of roofline | right |\n"
    "|---|" + "---|" * 8
)


def clocked(
    tasks: list[str], jobs: int, until: float, longest: float = LONGEST, command: Sequence[str] = ()
) -> Iterator[Row]:
    """Yield the row of each task as it is done, by native_clock.py or a command like it; none is begun too late."""
    with ThreadPoolExecutor(jobs) as pool:
        for made in as_completed([pool.submit(one, task, until, longest, command) for task in tasks]):
            row = made.result()
            if row is not None:
                yield row


def one(task: str, until: float, longest: float = LONGEST, command: Sequence[str] = ()) -> Row | None:
    """Run one task in a process of its own; what ends it is told in its row."""
    left = until - time.monotonic()
    if left <= 0:
        return None
    began = time.monotonic()
    try:
        ran = subprocess.run([sys.executable, *(command or (CLOCK,)), task], capture_output=True, text=True,
                             timeout=min(longest, left), env=os.environ | SETTINGS)  # fmt: skip
        row = _last(ran.stdout) if not ran.returncode else _failed(task, ran.stderr, f"it ended with {ran.returncode}")
    except subprocess.TimeoutExpired as late:
        stood = _text(late.stderr).splitlines()[-1:] or ["it had not begun"]
        late_row = {"task": task, "failed": f"not done after {late.timeout:.0f} s: {stood[0][:200]}"}
        row = _last(_text(late.stdout)) or late_row
    return row | {"seconds": round(time.monotonic() - began, 1)}


def _last(told: str) -> Row:
    """Return the last row that was printed: the whole one, or the one before anything was compiled."""
    rows = [line for line in told.splitlines() if line.startswith("{")]
    row: Row = json.loads(rows[-1]) if rows else {}
    refused = row.pop("refused", None)
    for case in row.get("cases", []):
        if refused and "us" in case:
            case["refusal"] = refused
    return row


def _failed(task: str, told: str, otherwise: str) -> Row:
    words = [line for line in told.splitlines() if line.strip()] or [otherwise]
    return {"task": task, "failed": words[-1][:300]}


def _text(told: str | bytes | None) -> str:
    """Return text of what a process that was ended had printed."""
    return told.decode(errors="replace") if isinstance(told, bytes) else told or ""


def fine(row: Row) -> bool:
    """Tell whether seed and bank of a task are right in every case."""
    return "failed" not in row and all(map(_right, row["cases"]))


def told(row: Row) -> str:
    """Say in one line what became of one task, and below it what is wrong and what the compiler refused."""
    if "failed" in row:
        return f"{row['task']:<22} FAILED: {row['failed']}"
    figures = ", ".join(f"{name} {cell}" for name, cell in zip(_NAMES, _cells(row), strict=True))
    return "\n    ".join([f"{row['task']:<22} {'right' if fine(row) else 'WRONG'}   {figures}", *_wrong(row),
                          *_refused(row)])  # fmt: skip


def markdown(rows: list[Row]) -> str:
    """Return the table, geometric means over a task's public cases, and lists of what is not as it should be."""
    rows = sorted(rows, key=lambda row: row["task"])
    lines = [
        f"| {row['task']} | {row['level']} | {' | '.join(_cells(row))} |"
        if "failed" not in row
        else f"| {row['task']} |  | failed: {row['failed']} |" + " |" * 6
        for row in rows
    ]
    whole = [row for row in rows if "failed" not in row]
    wrong = [f"- {row['task']}: {said}" for row in whole for said in _wrong(row)]
    refused = [f"- {row['task']}: {said}" for row in whole for said in _refused(row)]
    about = [f"{row['device']}, torch {row['torch']}, triton {row['triton']}" for row in whole[:1]]
    return "\n".join([*about, "", HEAD, *lines, "", "Wrong:", *wrong, "", "Refused by torch.compile:", *refused, ""])


_NAMES = ("seed us", "eager us", "compiled us", "eager / seed", "compiled / seed", "of roofline", "cases right")


def _right(case: Row) -> bool:
    return "failed" not in case and case["seed_error"] <= 1 and case["bank_error"] <= 1


def _wrong(row: Row) -> list[str]:
    """Say of each case that is not right what is wrong with it."""
    found = []
    for case in row["cases"]:
        if "failed" in case:
            found.append(f"{case['case']}: {case['failed']}")
        elif not _right(case):
            errors = {"seed": case["seed_error"], **case["bank"]}
            words = ", ".join(f"{name} {error:.3g}" for name, error in errors.items() if not error <= 1)
            found.append(f"{case['case']}: errors over their limits: {words}")
    return found


def _refused(row: Row) -> list[str]:
    return [f"{case['case']}, {case['eager']}: {case['refusal']}" for case in row["cases"] if "refusal" in case]


def _cells(row: Row) -> list[str]:
    """Return a task's figures."""
    cases = [case for case in row["cases"] if "us" in case]
    right = f"{sum(map(_right, row['cases']))} of {len(row['cases'])}"
    if not cases:
        return [*["-"] * 6, right]
    seed, eager = (_mean([case["us"][what] for case in cases]) for what in ("seed", "eager"))
    floor = _mean([case["roofline_us"] for case in cases])
    compiled = [case["us"]["compiled"] for case in cases if "compiled" in case["us"]]
    whole, over = f"- ({len(compiled)} of {len(cases)})", "-"
    if len(compiled) == len(cases):
        whole, over = f"{_mean(compiled):.1f}", f"{_mean(compiled) / seed:.2f}"
    return [f"{seed:.1f}", f"{eager:.1f}", whole, f"{eager / seed:.2f}", over, f"{floor / seed:.0%}", right]


def _mean(values: list[float]) -> float:
    return statistics.geometric_mean(values)
