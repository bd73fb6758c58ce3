"""The tables of the study of rewrites: gains by task with intervals, torch beside them, and predictions for a chip."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

DRAWS = 2000  # of a bootstrap
Row = dict[str, Any]


def text(rows: list[Row]) -> str:
    """Return everything that the rows say."""
    searches = [r for r in rows if r["kind"] == "search"]
    if not searches:
        return "no search is over yet"
    parts = [described(searches), gains(searches), spread(searches), curves(searches), families(searches)]
    peers = [r for r in rows if r["kind"] == "peer"]
    twice = [r for r in rows if r["kind"] == "again"]
    predicted = [r for r in rows if r["kind"] == "predicted"]
    parts += [torch_beside(searches, peers)] if peers else []
    parts += [judged_again(twice)] if twice else []
    parts += [correlations(predicted)] if predicted else []
    return "\n\n".join(parts)


def described(searches: list[Row]) -> str:
    """Say what was run."""
    seconds = sum(r["seconds"] for r in searches)
    devices = sorted({str(r["device"] or f"predicted for {r['target']}") for r in searches})
    budgets = sorted({r["evaluations"] for r in searches})
    unconfirmed = sum(not r["confirmed"] for r in searches if r["basis"] == "measured")
    return (
        f"{len(searches)} searches of {budgets} evaluations on {', '.join(devices)}; "
        f"{seconds / len(searches):.0f} s each; "
        f"{unconfirmed} of the programs found were not confirmed"
    )


def by(searches: list[Row], arm: str, task: str) -> dict[int, Row]:
    """Return an arm's searches of a task by seed."""
    return {r["seed"]: r for r in searches if (r["arm"], r["task"]) == (arm, task)}


def gains(searches: list[Row]) -> str:
    """Return how many times as fast as the seed each arm's programs are, by task; intervals are over seeds."""
    tasks, arms = list(dict.fromkeys(r["task"] for r in searches)), list(dict.fromkeys(r["arm"] for r in searches))
    rng = np.random.default_rng(0)
    lines = [
        "times as fast as the seed kernel, geometric mean over seeds [95%, bootstrap over seeds], share of roofline:",
        f"{'task':<22}{'seeds':>6}" + "".join(f"{arm:>27}{'roof':>6}" for arm in arms) + f"{arms[0] + ' / other':>30}",
    ]
    logs: dict[str, dict[str, np.ndarray]] = {}
    for task in tasks:
        found = [by(searches, arm, task) for arm in arms]
        seeds = sorted(set.intersection(*map(set, found)))
        if not seeds:
            continue
        logs[task] = {a: logarithms([f[s] for s in seeds]) for a, f in zip(arms, found, strict=True)}
        cells = "".join(
            f"{interval([logs[task][a]], rng):>27}{geometric([f[s]['roofline'] for s in seeds]):>6.0%}"
            for a, f in zip(arms, found, strict=True)
        )
        lines.append(f"{task:<22}{len(seeds):>6}{cells}{versus([logs[task]], arms, rng):>30}")
    if logs:
        cells = "".join(f"{interval([logs[t][a] for t in logs], rng):>27}{'':>6}" for a in arms)
        lines.append(f"{'all':<22}{'':>6}{cells}{versus(list(logs.values()), arms, rng):>30}")
    return "\n".join(lines)


def spread(searches: list[Row]) -> str:
    """Say what the first arm's gain over the second's hangs on: the tasks, those that gain most, and seeds."""
    arms = list(dict.fromkeys(r["arm"] for r in searches))[:2]
    over: dict[str, dict[int, float]] = {}  # of a task, by seed
    for task in dict.fromkeys(r["task"] for r in searches):
        found = [by(searches, arm, task) for arm in arms]
        both = sorted(set.intersection(*map(set, found)))
        if len(arms) == 2 and both:
            first, second = (logarithms([f[seed] for seed in both]) for f in found)
            over[task] = dict(zip(both, first - second, strict=True))
    if not over:
        return "no seed of a task has two arms yet"
    means = {task: np.mean(list(gains.values())) for task, gains in over.items()}
    most = sorted(means, key=lambda task: -means[task])
    lines = [f"{arms[0]} over {arms[1]}; intervals are over tasks, drawn anew:"]
    for left in range(min(3, len(most))):
        some = np.array([means[task] for task in most[left:]])
        name = f"without {', '.join(most[:left])}" if left else "all"
        lines.append(f"  {name}: {of_tasks(some)}, the middle task {math.exp(np.median(some)):.3f}")
    for seed in sorted({seed for gains in over.values() for seed in gains}):
        own = [gains[seed] for gains in over.values() if seed in gains]
        lines.append(f"  seed {seed}: {math.exp(np.mean(own)):.3f}, {len(own)} tasks")
    return "\n".join(lines)


def of_tasks(means: np.ndarray) -> str:
    """Return the geometric mean of tasks' gains with its interval: tasks are drawn anew."""
    return told([means], np.random.default_rng(0), lambda drawn: float(drawn[0].mean()))


def logarithms(found: Sequence[Row]) -> np.ndarray:
    """Return the logarithms of how many times as fast as the seed what searches found is."""
    return np.array([-math.log(r["ratio"][0]) for r in found])


def interval(samples: Sequence[np.ndarray], rng: np.random.Generator) -> str:
    """Return the geometric mean of several tasks' gains with its interval: seeds are drawn anew within each task."""
    return told(samples, rng, lambda drawn: float(np.mean([one.mean() for one in drawn])))


def versus(tasks: Sequence[dict[str, np.ndarray]], arms: list[str], rng: np.random.Generator) -> str:
    """Return the first arm's gain over the second's; both arms of a seed are drawn together."""
    return "" if len(arms) < 2 else interval([one[arms[0]] - one[arms[1]] for one in tasks], rng)


def told(samples: Sequence[np.ndarray], rng: np.random.Generator, mean: Callable[[Sequence[np.ndarray]], float]) -> str:
    """Return a mean of logarithms and its bootstrap interval, as factors."""
    drawn = [mean([one[rng.integers(0, len(one), len(one))] for one in samples]) for _ in range(DRAWS)]
    low, high = np.percentile(drawn, [2.5, 97.5])
    return f"{math.exp(mean(samples)):.3f} [{math.exp(low):.3f}, {math.exp(high):.3f}]"


def geometric(values: Sequence[float]) -> float:
    """Return the geometric mean."""
    return math.exp(sum(map(math.log, values)) / len(values))


def curves(searches: list[Row]) -> str:
    """Return the gain of the best so far, geometric mean over all searches of an arm, at some points of the way."""
    lines = ["times as fast as the seed after so many evaluations, geometric mean over searches, as found:"]
    for arm in dict.fromkeys(r["arm"] for r in searches):
        some = [r["curve"] for r in searches if r["arm"] == arm and r["curve"]]
        points = [n for n in (10, 20, 40, 80, 160, 320) if n <= max(map(len, some))]
        cells = [f"{n}: {1 / geometric([c[min(n, len(c)) - 1] for c in some]):.3f}" for n in points]
        lines.append(f"  {arm:<10}" + "   ".join(cells))
    return "\n".join(lines)


def families(searches: list[Row]) -> str:
    """Return what became of each family's programs, and in how many best programs' lines it stands."""
    tries: dict[str, list[int]] = {}
    for row in searches:
        for one in (c for c in row["credit"] if c["kind"] == "rewrite"):
            mine = tries.setdefault(one["name"], [0, 0, 0, 0])
            for at, key in enumerate(("tries", "valid", "gains")):
                mine[at] += one[key]
        for name in {intent.partition(":")[0] for operator, intent in row["line"] if operator == "rewrite"}:
            tries.setdefault(name, [0, 0, 0, 0])[3] += 1
    lines = [f"{'family':<24}{'tries':>7}{'right':>7}{'gained':>8}{'in a best':>11}"]
    for name, (n, valid, gained, best) in sorted(tries.items(), key=lambda item: (-item[1][3], -item[1][2], item[0])):
        lines.append(f"{name:<24}{n:>7}{valid / max(n, 1):>7.0%}{gained / max(n, 1):>8.0%}{best:>11}")
    return "\n".join(lines)


def torch_beside(searches: list[Row], peers: list[Row]) -> str:
    """Return the microseconds of torch, seeds and best programs on one clock, geometric mean over a task's cases."""
    columns = list(dict.fromkeys(p["what"] for p in peers))
    lines = ["microseconds on the clock of open mode, geometric mean over cases (each case in the rows):",
             f"{'task':<22}" + "".join(f"{c:>21}" for c in columns)]  # fmt: skip
    for task in dict.fromkeys(r["task"] for r in searches):
        cells = []
        for column in columns:
            own = [p for p in peers if (p["task"], p["what"]) == (task, column)]
            times = list(own[-1]["cases"].values()) if own else []
            whole = times and all(isinstance(t, float) for t in times)
            cells.append(f"{geometric(times):.2f}" if whole else "failed" if times else "")
        lines.append(f"{task:<22}" + "".join(f"{c:>21}" for c in cells))
    return "\n".join(lines)


def judged_again(rows: list[Row]) -> str:
    """Return what became of best programs when they were judged again, alone, on all edges that there was room for."""
    passed = [r for r in rows if r["passed"]]
    moved = {r["task"]: math.log(r["ratio"][0] / r["before"][0]) for r in passed}
    most = max(moved, key=lambda task: abs(moved[task]), default="none")
    left = [r["task"] for r in rows if any("edge not run" in note for note in r["notes"])]
    ran = sum(bool(r["huge"]) for r in rows) - len(left)
    lines = [f"judged again: {len(passed)} of {len(rows)} best programs pass, {sum(r['confirmed'] for r in rows)} "
             f"confirmed; on {ran} huge edges, without room on those of {', '.join(left) or 'none'}"]  # fmt: skip
    if moved:
        lines.append(f"  their time over the seed's: {math.exp(np.mean(list(moved.values()))):.4f} times what it was, "
                     f"at most {100 * math.expm1(moved[most]):+.1f}% off ({most})")  # fmt: skip
    return "\n".join([*lines, *(f"  {r['task']} ({r['arm']}): {r['failure']}" for r in rows if not r["passed"])])


def correlations(predicted: list[Row]) -> str:
    """Return Spearman's rank correlation of measured and predicted gains of the same children, by task and over all."""
    from prediction import spearman  # it loads torch

    chip, on = predicted[0]["chip"], predicted[0]["on"]
    lines = [f"gains over the seed predicted for {chip} and measured on {on}, the same programs:",
             f"{'task':<22}{'programs':>9}{'failed there':>14}{'Spearman':>10}"
             f"{'measured':>10}{'predicted':>11}"]  # fmt: skip
    every: list[list[float]] = []
    for task in dict.fromkeys(p["task"] for p in predicted):
        own = [p for p in predicted if p["task"] == task]
        pairs = [pair for p in own for pair in p["pairs"]]
        every += pairs
        lines.append(correlated(task, pairs, sum(p["failed"] for p in own), spearman))
    return "\n".join([*lines, correlated("all", every, sum(p["failed"] for p in predicted), spearman)])


def correlated(name: str, pairs: list[list[float]], failed: int, spearman: Callable[..., float]) -> str:
    """Return one line: the rank correlation, and the geometric mean of both gains."""
    m, p = np.array([a for a, _ in pairs]), np.array([b for _, b in pairs])
    rank = spearman(m, p) if len(pairs) > 2 else float("nan")
    means = (math.exp(m.mean()), math.exp(p.mean())) if pairs else (float("nan"),) * 2
    return f"{name:<22}{len(pairs):>9}{failed:>14}{rank:>10.2f}{means[0]:>10.3f}{means[1]:>11.3f}"
