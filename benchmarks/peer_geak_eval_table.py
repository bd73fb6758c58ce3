"""Lays the verdicts of GEAK-eval and of `suite judge` beside each other, and the time that both took."""

from typing import Any

SIDES = ("ours", "theirs")
Row = dict[str, Any]


def table(rows: list[Row], timed: list[str], suites: dict[str, list[str]]) -> str:
    """Return counts of what both judged, every difference with what either said, and the timed part's clock."""
    lines = []
    for suite, names in suites.items():
        verdicts = [_verdicts(rows, side, suite, names) for side in SIDES]
        lines += _counts(suite, len(names), *verdicts)
    return "\n".join([*lines, *_clock(rows, timed)])


def _verdicts(rows: list[Row], side: str, suite: str, names: list[str]) -> dict[str, Row]:
    found = [r for r in rows if r["kind"] == "verdict" and (r["side"], r["suite"]) == (side, suite)]
    return {r["name"]: r for r in found if r["name"] in names}


def _counts(suite: str, count: int, ours: dict[str, Row], theirs: dict[str, Row]) -> list[str]:
    """Count verdicts of what both judged, and list where they differ."""
    both = [name for name in ours if name in theirs]
    lines = [f"{suite}: {count} references, {len(both)} judged by both"]
    for side, found in zip(SIDES, (ours, theirs), strict=True):
        called, matched = (sum(found[n][part] for n in both) for part in ("called", "matched"))
        all_of_them = f"; of all its {len(found)}: {sum(r['called'] for r in found.values())} and " \
                      f"{sum(r['matched'] for r in found.values())}"  # fmt: skip
        lines.append(f"  {side:<7} called {called}, matched {matched}{all_of_them}")
    unlike = [n for n in both if _verdict(ours[n]) != _verdict(theirs[n])]
    lines += [f"  differs: {n}: ours {_said(ours[n])}; theirs {_said(theirs[n])}" for n in unlike]
    lines += [f"  neither: {n}: ours {_said(ours[n])}; theirs {_said(theirs[n])}" for n in both
              if n not in unlike and not ours[n]["matched"]]  # fmt: skip
    return lines


def _verdict(row: Row) -> tuple[bool, bool]:
    return row["called"], row["matched"]


def _said(row: Row) -> str:
    words = "matched" if row["matched"] else "called" if row["called"] else "not called"
    return f"{words} ({row['why'][:160]})" if row["why"] and not row["matched"] else words


def _clock(rows: list[Row], timed: list[str]) -> list[str]:
    """Return how long the timed part took by the clock, and what its verdicts took one by one."""
    lines, walls = [], {}
    for side in SIDES:
        found = _verdicts(rows, side, "tritonbench-revised", timed)
        parts = [r for r in rows if r["kind"] == "wall" and r["side"] == side and r["first"] == len(timed)
                 and r["suite"] == "tritonbench-revised"]  # fmt: skip
        judged = sum(p["judged"] for p in parts)
        took, one_by_one = sum(p["seconds"] for p in parts), sum(r["seconds"] for r in found.values())
        at_once = "/".join(sorted({str(p["lanes"]) for p in parts})) or "0"
        lines.append(f"first {len(timed)}, {side}: {judged} judged in {took:.1f} s by the clock, {at_once} at once in "
                     f"{len(parts)} calls; {one_by_one:.1f} s one by one")  # fmt: skip
        if judged == len(timed):
            walls[side] = took
    if len(walls) == len(SIDES):
        lines.append(f"theirs takes {walls['theirs'] / walls['ours']:.1f} times as long as ours")
    return lines
