"""What noise and failures cost: two runs of `evo-kernel bench landscapes` with the same seeds, search by search.

    evo-kernel bench landscapes TABLES --seeds 50 --workers 14 --json > clean.json
    evo-kernel bench landscapes TABLES --seeds 50 --workers 14 --noise 0.02 --failures 0.1 --json > noisy.json
    python benchmarks/falls.py clean.json noisy.json

A search with noise begins where the one of the same seed without it began. Printed is by how much figures fall, with
the 95% interval of the mean by bootstrap over pairs of searches; the tables are given.
"""

import json
import sys
from pathlib import Path

import numpy as np
import paired  # beside this file

COUNTS = ("20", "50", "100", "200")
WANTED = {"100": 0.02, "200": 0.02}  # falls of the mean that are allowed


def read(file: Path) -> dict[str, dict[str, np.ndarray]]:
    """Return the figures of every search: table -> evaluations -> one a seed."""
    document = json.loads(file.read_text(encoding="utf-8"))
    tables = {
        name: part["searches"] for name, part in document.items() if isinstance(part, dict) and "searches" in part
    }
    if not tables:
        raise SystemExit(f"{file} holds no figures of single searches: expected what bench landscapes --json prints")
    return {name: {n: np.array(values) for n, values in part.items()} for name, part in tables.items()}


def shown(falls: np.ndarray, limit: float | None) -> str:
    """Write a mean fall with its interval, and whether it is within a limit."""
    low, high = paired.interval(falls, np.random.default_rng(0))
    verdict = (
        "" if limit is None else " (within)" if high <= limit else " (mean within)" if falls.mean() <= limit else " (!)"
    )
    return f"{falls.mean():+.3f} [{low:+.3f}, {high:+.3f}]{verdict}"


def main() -> None:
    """Print the falls of every table and of the mean."""
    if len(sys.argv) != 3:
        raise SystemExit("usage: falls.py CLEAN.json NOISY.json")
    clean, noisy = (read(Path(name)) for name in sys.argv[1:])
    if {n: v["20"].shape for n, v in clean.items()} != {n: v["20"].shape for n, v in noisy.items()}:
        raise SystemExit("the two runs are not of the same tables and seeds")
    print(f"falls, {len(clean)} tables x {len(next(iter(clean.values()))['20'])} pairs of searches; 95% intervals")
    print(f"{'':22}" + "".join(f"{'@' + n:>40}" for n in COUNTS))
    for name in clean:
        cells = [shown((clean[name][n] - noisy[name][n])[None], None) for n in COUNTS]
        print(f"{name:22}" + "".join(f"{cell:>40}" for cell in cells))
    every = {n: np.array([clean[name][n] - noisy[name][n] for name in clean]) for n in COUNTS}
    print(f"{'mean':22}" + "".join(f"{shown(every[n], WANTED.get(n)):>40}" for n in COUNTS))
    for what, found in (("mean of the clean run", clean), ("of the noisy one", noisy)):
        print(f"{what:22}" + "".join(f"{float(np.mean([part[n] for part in found.values()])):>40.3f}" for n in COUNTS))


if __name__ == "__main__":
    main()
