"""One search of the study of rewrites, by the product's own path, and the row of figures that is kept of it."""

import base64
import json
import math
import signal
import sys
import time
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from archives.archive import Entry
from archives.candidate import Candidate
from archives.events import Judged, Proposed
from archives.journal import Journal
from evo_kernel import api, runs
from evo_kernel.errors import RunError
from evo_kernel.measurement import baseline
from evo_kernel.search import GIVEN
from fitness.evaluation import Basis, Evaluation
from operators.catalogue import KNOBS, STRUCTURAL

ARMS = {"rewrites": (*STRUCTURAL, *KNOBS), "tuner": KNOBS}
KEPT = 30  # children of a search that are predicted for another chip too
POPULATION = 8


def search(job: dict[str, Any], folder: Path, row: Path) -> None:
    """Begin a search, or go on with one that was interrupted, and write its row when it is over."""
    signal.signal(signal.SIGTERM, _interrupted)
    began = time.monotonic()
    if folder.exists():
        api.resume(folder, workers=job["workers"])
    else:
        settings = {k: job[k] for k in ("seed", "target", "basis", "workers", "judges")}
        api.search(
            job["task"], folder, operators=ARMS[job["arm"]], generations=job["evaluations"] // POPULATION,
            population=POPULATION, pool="inline", seconds=10.0, **settings,
        )  # fmt: skip
    found = {"kind": "search", **job, "seconds": time.monotonic() - began, **figures(folder)}
    row.write_text(json.dumps(found))


def _interrupted(number: int, frame: Any) -> None:
    """End as Ctrl-C does: what was judged is in the journal."""
    raise KeyboardInterrupt


def figures(folder: Path) -> dict[str, Any]:
    """Return what a study needs to know of a run that is over."""
    state = runs.read(folder)
    with Journal.read(folder) as journal:
        events = list(journal.events())
    archive, seed = state.search.archive, baseline(state)
    if archive.best is None or seed is None:
        raise RunError(f"{folder} has no best program")
    best = archive[archive.best]
    last = archive.measured.get(archive.best, best.evaluation)
    return {
        "device": last.device, "basis": last.basis.value, "stop": state.search.stop,
        "evaluations_done": state.search.evaluations, "wall_seconds": state.wall_seconds,
        "gpu_seconds": state.search.gpu_seconds, "failures": dict(archive.failures), "twins": archive.twins,
        "refusals": state.search.refusals, "confirmed": last.confirmed,
        "ratio": [1.0] * 3 if best is seed else beside(last, seed),
        "best_us": last.score_us, "seed_us": seed.score_us, "roofline": roofline(last),
        "seed_roofline": roofline(seed.evaluation), "cases": cases(last), "seed_cases": cases(seed.evaluation),
        "source": packed(best.candidate.source),
        "line": [[e.candidate.operator, e.candidate.intent] for e in archive.lineage(archive.best)],
        "curve": curve(events, seed), "credit": state.search.credit.rows(),
        "children": children(events, state.settings.seed, seed),
    }  # fmt: skip


def beside(e: Evaluation, seed: Entry) -> list[float]:
    """Return a program's time over the seed's with its interval: timed in the same rounds where it was confirmed."""
    found = e.ratio_to("baseline")
    return [e.score_us / seed.score_us] * 3 if found is None else [found.ratio, found.low, found.high]


def roofline(e: Evaluation) -> float:
    """Return the share of the roofline that a program reaches, the geometric mean of its cases."""
    return math.exp(sum(math.log(c.floor_us / c.time_us) for c in e.cases) / len(e.cases))


def cases(e: Evaluation) -> dict[str, list[float | None]]:
    """Return each case's microseconds, their interval, and the least there can be."""
    return {c.case: [c.time_us, c.low_us, c.high_us, c.floor_us] for c in e.cases}


def judged(events: list[Any]) -> list[tuple[Candidate, Evaluation]]:
    """Return what was judged in a search beside what it began with, in order."""
    proposed = {e.number: e.candidate for e in events if isinstance(e, Proposed)}
    found = [(proposed[e.number], e.evaluation) for e in events if isinstance(e, Judged)]
    return [(candidate, e) for candidate, e in found if candidate.operator not in GIVEN]


def curve(events: list[Any], seed: Entry) -> list[float]:
    """Return the time of the best so far over the seed's after each evaluation; a measured best was confirmed."""
    best, found = 1.0, []
    for _, e in judged(events):
        if e.passed and (e.confirmed or e.basis is Basis.PREDICTED):
            best = min(best, beside(e, seed)[0])
        found.append(round(best, 5))
    return found


def children(events: list[Any], draw: int, seed: Entry) -> list[list[Any]]:
    """Return some distinct programs that passed, drawn at random: operator, time over the seed's, source."""
    distinct: dict[str | None, list[Any]] = {}
    for candidate, e in judged(events):
        if e.passed:
            distinct.setdefault(e.program, [candidate.operator, beside(e, seed)[0], packed(candidate.source)])
    rows = list(distinct.values())
    chosen = np.random.default_rng(draw).permutation(len(rows))[:KEPT]
    return [rows[int(i)] for i in sorted(chosen)]


def packed(source: str) -> str:
    """Return a text as few letters."""
    return base64.b85encode(zlib.compress(source.encode(), 9)).decode()


def unpacked(text: str) -> str:
    """Return the text that was packed."""
    return zlib.decompress(base64.b85decode(text)).decode()


if __name__ == "__main__":
    search(json.loads(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]))
