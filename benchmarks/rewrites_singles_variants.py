"""The programs that rewrites_singles.py times of a task: some settings of its seed, and rewrites over each of them.

Which rewrites are tried depends on the kind of the seed, so that a task has 60 programs at most: all families over
one setting of a product, or over the seed and the best settings known of anything else; over the other settings of a
product those that change which tiles come when and how, and chains that hold these.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evo_kernel import rewriting
from operators import knobs
from operators.rewrites.kinds import kind
from operators.tune import starts

SEED, TUNER, REWRITES = "seed", "tuner", "rewrites"
# those that the tuner begins with on such chips; the first has all families over it
SETTINGS = {f"K{n}": setting for n, setting in enumerate(starts.SETTINGS["cuda"], 1)}
WIDE = {"products": ("K1",), "reductions": (SEED, TUNER), "pointwise": (SEED, TUNER)}
TILES = ("tensor-descriptors", "grouped-order", "persistent-grid")
PAIRS = (("grouped-order", "tensor-descriptors"), ("persistent-grid", "tensor-descriptors"))
CHAINS = (
    *PAIRS,
    ("grouped-order", "persistent-grid", "tensor-descriptors"),
    ("grouped-order", "drop-masks"),
    ("grouped-order", "aligned-sizes"),
    ("range-stages", "tensor-descriptors"),
    ("grouped-order", "narrow-offsets"),
    ("grouped-order", "block-pointers", "tensor-descriptors"),
)
CHAINED = {"K1": CHAINS, "K2": CHAINS, "K3": PAIRS, "K4": PAIRS}
# for another chip; nothing that runs changes; 6 to 42 choices each; the ways back from what other families do
LEFT_OUT = ("xcd-remap", "expose-knob", "cache-hints", "static-range", "two-pass-statistics", "recompute-offsets",
            "pointer-arithmetic")  # fmt: skip
SEVERAL, PLACES = ("full-blocks", "split-kernel", "rows-per-program", "accumulator-dtype"), 3


@dataclass(frozen=True, slots=True)
class Variant:
    """A program: a base alone, or after a rewrite at a place, or after several, each at the last of its places."""

    base: str
    families: tuple[str, ...]
    place: int | None
    source: str


def variants(seed: str, older: Mapping[str, str]) -> list[Variant]:
    """List distinct programs, the seed first; a base that is another's text goes by that one's name."""
    of = kind(seed)
    bases = {SEED: seed} | (settings(seed) if of == "products" else {}) | dict(older)
    found: dict[str, Variant] = {}
    for name, source in bases.items():
        found.setdefault(source, Variant(name, (), None, source))
    for name, source in bases.items():
        for families, place, rewritten in rewrites(of, name, source):
            found.setdefault(rewritten, Variant(found[source].base, families, place, rewritten))
    return list(found.values())


def settings(seed: str) -> dict[str, str]:
    """Return a product's seed at all settings; what a kernel has no knob for stays as it is."""
    begun = starts.starts(knobs.find(seed, "cuda"), "cuda")
    return {name: knobs.rewrite(seed, wanted) for name, wanted in zip(SETTINGS, begun, strict=False)}


def rewrites(of: str, base: str, source: str) -> Iterator[tuple[tuple[str, ...], int | None, str]]:
    """Yield what is made of a base: by which families, at which place of one alone, and the program."""
    wide = base in WIDE[of]
    if not wide and base not in CHAINED:
        return
    for family in rewriting.families(source):
        if family.name not in LEFT_OUT if wide else family.name in TILES:
            for place in places(family):
                yield (family.name,), place, rewriting.rewrite(source, family.name, place)
    for chain in CHAINED.get(base, ()):
        made = chained(source, chain)
        if made is not None:
            yield chain, None, made


def places(family: rewriting.Family) -> list[int]:
    """Choose places of a family: of descriptors the fewest tiles and all of them, of stages three."""
    last = len(family.places)
    if family.name == "tensor-descriptors":
        return sorted({1, last})
    if family.name in SEVERAL:
        return list(range(1, min(PLACES, last) + 1))
    return [min(2, last)] if family.name == "range-stages" else [1]


def chained(source: str, chain: tuple[str, ...]) -> str | None:
    """Return a program after several rewrites, none where one of them does not apply."""
    for name in chain:
        family = next((f for f in rewriting.families(source) if f.name == name), None)
        if family is None:
            return None
        source = rewriting.rewrite(source, name, places(family)[-1])
    return source


def best_programs(rows: Path | None, task: str) -> dict[str, str]:
    """Return the fastest programs that older searches of a task found, by arm, out of rows of rewrites_search.py."""
    from rewrites_search_row import unpacked  # beside this file

    best: dict[str, dict[str, Any]] = {}
    for row in map(json.loads, rows.read_text().splitlines() if rows is not None else ()):
        if (row["kind"], row.get("task")) == ("search", task) and row["arm"] in (TUNER, REWRITES):
            best[row["arm"]] = min(best.get(row["arm"], row), row, key=lambda r: r["ratio"][0])
    return {arm: unpacked(row["source"]) for arm, row in best.items()}
