"""The tables of single rewrites: what each family gains by kind of kernel, and what is had beyond the best settings.

A gain is the geometric mean, over a task's public cases, of the time before over the time after; right is what is
within 2% of the seed's result.
"""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from statistics import geometric_mean
from typing import Any

from rewrites_singles_variants import REWRITES  # beside this file

OFF = 0.02  # how far from the seed's a result may be
GAIN = 1.01  # what is less may be the clock
KINDS = ("pointwise", "reductions", "products")
Row = dict[str, Any]


def text(rows: list[Row]) -> str:
    """Return everything that the rows say."""
    about = sorted({f"{row['device']}, torch {row['torch']}, triton {row['triton']}" for row in rows})
    said = f"{len(rows)} tasks, {sum(len(row['variants']) for row in rows)} programs on {'; '.join(about)}"
    return "\n\n".join([said, families(rows), chains(rows), tasks(rows), wrong(rows)])


@dataclass(frozen=True, slots=True)
class One:
    """A program that ran: what it is, and the geometric mean of its microseconds over the cases."""

    base: str
    families: tuple[str, ...]
    place: int | None
    us: float
    right: bool

    @property
    def said(self) -> str:
        """Its name in tables."""
        place = f" at {self.place}" if (self.place or 1) > 1 else ""
        return f"{self.base}, {' + '.join(self.families)}{place}" if self.families else self.base


@dataclass(frozen=True, slots=True)
class Try:
    """A rewrite over a base that ran: how many times as fast; None where it failed or its result is off."""

    task: str
    base: str
    gain: float | None


def ran(row: Row) -> list[One]:
    """Return the programs of a row that ran in every case."""
    return [
        One(v["base"], tuple(v["families"]), v["place"], geometric_mean(v["times"]), all(e <= OFF for e in v["err"]))
        for v in row["variants"]
        if "failed" not in v and len(v["times"]) == len(row["cases"])
    ]


def tries(row: Row) -> Iterator[tuple[tuple[str, ...], Try]]:
    """Yield every rewrite whose base ran right, by its families."""
    done = {(one.base, one.families, one.place): one for one in ran(row) if one.right}
    for v in row["variants"]:
        before = done.get((v["base"], (), None))
        if v["families"] and before is not None:
            after = done.get((v["base"], tuple(v["families"]), v["place"]))
            yield tuple(v["families"]), Try(row["task"], v["base"], None if after is None else before.us / after.us)


def families(rows: list[Row]) -> str:
    """Return, for every family and chain, what became of it on each kind of kernel, most gains first."""
    found: dict[tuple[str, ...], dict[str, list[Try]]] = defaultdict(lambda: defaultdict(list))
    for row in rows:
        for key, one in tries(row):
            found[key][row["kind"]].append(one)

    def place(key: tuple[str, ...]) -> tuple[bool, float]:
        return len(key) > 1, -gained([one for own in found[key].values() for one in own])

    lines = ["Tried (of them failed or off): share that gained over 1%, geometric mean, least to largest, and where:",
             "", f"| rewrite | {' | '.join(KINDS)} |", "|---|" + "---|" * len(KINDS)]  # fmt: skip
    lines += [
        f"| {' + '.join(key)} | {' | '.join(summed(found[key][kind]) for kind in KINDS)} |"
        for key in sorted(found, key=place)
    ]
    return "\n".join(lines)


def gained(own: list[Try]) -> float:
    """Return the share of tries that gained more than a clock may."""
    return sum(one.gain is not None and one.gain > GAIN for one in own) / len(own)


def summed(own: list[Try]) -> str:
    """Return a family's figures on one kind of kernel."""
    known = sorted((one.gain, f"{one.task} {one.base}") for one in own if one.gain is not None)
    failed = f" ({len(own) - len(known)})" if len(known) < len(own) else ""
    if not known:
        return f"{len(own)}{failed}" if own else ""
    mean, (largest, on) = geometric_mean(gain for gain, _ in known), known[-1]
    return f"{len(own)}{failed}: {gained(own):.0%}, {mean:.3f}, {known[0][0]:.2f} to {largest:.2f}, {on}"


def tasks(rows: list[Row]) -> str:
    """Return each task's best settings, and how much faster a single rewrite of them and the best of all are."""
    lines = ["| task | kind | best settings alone | us | best rewrite over them | gain | best of all | gain |",
             "|---|" + "---|" * 7]  # fmt: skip
    rooms: dict[str, list[tuple[float | None, float]]] = defaultdict(list)
    for row in sorted(rows, key=lambda row: (KINDS.index(row["kind"]), row["task"])):
        fastest = sorted((one for one in ran(row) if one.right), key=lambda one: one.us)
        settings = [one for one in fastest if not one.families and one.base != REWRITES]
        alone = settings[0]
        over = [one for one in fastest if one.base == alone.base and len(one.families) == 1]
        gain, best = (alone.us / over[0].us if over else None), fastest[0]
        for group in (row["kind"], "all", *(["all with other settings than the seed's"] if settings[1:] else [])):
            rooms[group].append((gain, alone.us / best.us))
        single = (over[0].said, f"{gain:.3f}") if gain else ("none tried", "")
        cells = [alone.base, f"{alone.us:.1f}", *single, best.said, f"{alone.us / best.us:.3f}"]
        lines.append(f"| {row['task']} | {row['kind']} | {' | '.join(cells)} |")
    for group, pairs in rooms.items():
        known = [gain for gain, _ in pairs if gain is not None]
        first = f"{geometric_mean(known):.3f} of {len(known)}" if known else ""
        second = geometric_mean(gain for _, gain in pairs)
        lines.append(f"| geometric mean of {len(pairs)} | {group} | | | | {first} | | {second:.3f} |")
    return "\n".join(lines)


def chains(rows: list[Row]) -> str:
    """Say how often a chain is faster than the best of its families alone over the same base, where all ran."""
    gains = []
    for row in rows:
        right = [one for one in ran(row) if one.right]
        for chain in (one for one in right if len(one.families) > 1):
            parts = [one for one in right if one.base == chain.base and set(one.families) < set(chain.families)]
            parts = [one for one in parts if len(one.families) == 1]
            if {name for one in parts for name in one.families} == set(chain.families):
                gains.append(min(one.us for one in parts) / chain.us)
    faster, slower = sum(gain > GAIN for gain in gains), sum(gain < 1 / GAIN for gain in gains)
    return (
        f"Of {len(gains)} chains whose families all ran alone over the same base, {faster} are more than 1% faster "
        f"than the best of these, and {slower} more than 1% slower."
    )


def wrong(rows: list[Row]) -> str:
    """Name the programs whose result is off the seed's."""
    lines = [f"Off the seed's result by more than {OFF:.0%} in some case:"]
    for row in rows:
        off = [one.said for one in ran(row) if not one.right]
        lines += [f"- {row['task']}: {'; '.join(off)}"] if off else []
    return "\n".join(lines if len(lines) > 1 else [f"No result is off the seed's by more than {OFF:.0%}."])
