"""The study of rewrites as one Markdown table: a line for each task, with intervals, and torch where it was timed."""

import numpy as np
from rewrites_search_table import Row, by, geometric, interval, logarithms, versus

COLUMNS = ("task", "seeds", "seed us", "tuner", "roofline", "rewrites", "roofline", "rewrites / tuner", "rewritten by")
# what torch takes over the best program's time
BESIDE = {
    "eager": "eager / best",
    "call": "call / best",
    "compiled": "max-autotune / best",
    "compiled, no graphs": "without graphs / best",
}
ARMS = ("rewrites", "tuner")


def text(rows: list[Row]) -> str:
    """Return the table of all tasks for which both arms were searched, and the mean of all."""
    searches, peers = ([r for r in rows if r["kind"] == kind] for kind in ("search", "peer"))
    rng = np.random.default_rng(0)
    beside = [head for what, head in BESIDE.items() if any(p["what"] == what for p in peers)]
    lines = [line([*COLUMNS, *beside]), "|" + "---|" * (len(COLUMNS) + len(beside))]
    logs: list[dict[str, np.ndarray]] = []
    for task in sorted({r["task"] for r in searches}):
        found = [by(searches, arm, task) for arm in ARMS]
        seeds = sorted(set.intersection(*map(set, found)))
        if not seeds:
            continue
        rewrites, tuner = ([f[s] for s in seeds] for f in found)
        logs.append({a: logarithms(f) for a, f in zip(ARMS, (rewrites, tuner), strict=True)})
        own = [p for p in peers if p["task"] == task]
        lines.append(line([
            task, str(len(seeds)), f"{geometric([r['seed_us'] for r in rewrites]):.1f}",
            *gained(tuner, rng), *gained(rewrites, rng), versus([logs[-1]], list(ARMS), rng), families(rewrites),
            *(over(own, what) for what, head in BESIDE.items() if head in beside),
        ]))  # fmt: skip
    means = [interval([one[arm] for one in logs], rng) for arm in ARMS[::-1]]
    lines.append(line(["geometric mean", "", "", means[0], "", means[1], "", f"**{versus(logs, list(ARMS), rng)}**", "",
                       *[""] * len(beside)]))  # fmt: skip
    return "\n".join(lines)


def line(cells: list[str]) -> str:
    """Return one line of the table."""
    return "| " + " | ".join(cells) + " |"


def gained(found: list[Row], rng: np.random.Generator) -> tuple[str, str]:
    """Return how many times as fast as the seed an arm's programs are, and their share of the roofline."""
    return interval([logarithms(found)], rng), f"{geometric([r['roofline'] for r in found]):.0%}"


def families(found: list[Row]) -> str:
    """Name what rewrote the best program of all seeds: every family in its line once, the first first."""
    best = min(found, key=lambda r: r["ratio"][0])
    named = {"rewrite": lambda intent: intent.partition(":")[0], "dispatch": lambda intent: "dispatch"}
    return ", ".join(dict.fromkeys(named[o](intent) for o, intent in reversed(best["line"]) if o in named))


def over(peers: list[Row], what: str) -> str:
    """Return torch's time over that of the best program with rewrites, both on one clock, over a task's cases."""
    rows = {p["what"]: p for p in peers}
    if not {what, "best of rewrites"} <= set(rows):
        return ""
    best = rows[what].get("beside", rows["best of rewrites"]["cases"])
    both = [list(rows[what]["cases"].values()), list(best.values())]
    if not all(isinstance(t, float) for one in both for t in one):
        return "too slow" if any("not compiled in" in str(t) for t in both[0]) else "failed"
    return f"{geometric(both[0]) / geometric(both[1]):.2f}"
