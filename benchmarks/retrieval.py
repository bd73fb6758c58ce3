"""Asks a shelf of kernels for relatives made by rule, and prints how often the right one comes first, and how fast.

    python benchmarks/retrieval.py

The labelled pairs: every honest kernel of tests/honest and every seed is renamed, reordered or re-tiled, or all three
(tests/relatives.py), and must find itself among all the others, many of which are of the same task.
"""

import random
import sys
from collections.abc import Callable
from pathlib import Path
from statistics import median
from time import perf_counter

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

import relatives

from operators.knowledge.similarity import Shelf, shingles

MANY = 10_000


def main() -> None:
    """Print one line a way, and one for the time."""
    known = relatives.kernels()
    shelf = Shelf([shingles(source) for source in known.values()])
    print(f"{len(known)} kernels on the shelf\n\n{'made by':<12} {'pairs':>5} {'right first':>12}")
    total = right = 0
    for way in relatives.LABELLED:
        found = first_found(shelf, list(known.values()), way)
        total, right = total + len(found), right + sum(found)
        print(f"{way:<12} {len(found):>5} {sum(found) / len(found):>12.1%}")
    print(f"{'all':<12} {total:>5} {right / total:>12.1%}")
    many = relatives.crowd(list(known.values()), MANY)
    print(f"\n{MANY} kernels: {timed(lambda: Shelf(many)):.2f} s to arrange, ", end="")
    shelf = Shelf(many)
    times = [timed(lambda source=source: shelf.nearest(shingles(source), 3)) for source in known.values()]
    print(f"{1e3 * median(times):.1f} ms to find three (median of {len(times)}; the longest {1e3 * max(times):.1f} ms)")


def first_found(shelf: Shelf, sources: list[str], way: str) -> list[bool]:
    """Tell of each kernel whether its relative finds it first."""
    made = [relatives.relative(source, way, random.Random(place)) for place, source in enumerate(sources)]
    return [shelf.nearest(shingles(source), 1)[0].place == place for place, source in enumerate(made)]


def timed(work: Callable[[], object]) -> float:
    """Return the seconds that it takes."""
    began = perf_counter()
    work()
    return perf_counter() - began


if __name__ == "__main__":
    main()
