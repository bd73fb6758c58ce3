"""Where the evaluations of searches went, by their journals: what each operator's programs came to, and on what.

    python benchmarks/rewrites_journals.py RUNS [--least 100]

RUNS is a folder of run folders, such as `benchmarks/rewrites_search.py` leaves, whole or interrupted; runs of fewer
evaluations than `--least` are left out. A program is *known* where its machine code and plan were judged before under
other words, *equal* within 1% of its parent, and *best* where it was confirmed as the fastest so far by more than 1%.
*Idle* are moves of knobs of kernels that ran in no case of the parent, and rewrites that this version would not make
any more as they change only such kernels.
"""

import argparse
from collections import Counter, defaultdict
from dataclasses import dataclass
from pathlib import Path

from archives.archive import Archive
from archives.candidate import Candidate
from archives.events import Judged, Proposed
from archives.journal import Journal
from evo_kernel import runs
from evo_kernel.search import GIVEN
from fitness.evaluation import Basis, Evaluation
from operators import knobs
from operators.catalogue import KNOBS, REWRITE
from operators.knob_groups import alive
from operators.rewrites.families import FAMILIES
from operators.rewrites.idle import reached
from operators.rewrites.program import apply, read

OUTCOMES = ("best", "faster", "equal", "to 1.1 slower", "to 1.5 slower", "slower yet", "known", "failed")
FAMILY = {family.name: family for family in FAMILIES}


@dataclass(frozen=True, slots=True)
class One:
    """A program of a run with its verdict, its parent's, and what it came to."""

    candidate: Candidate
    evaluation: Evaluation
    parent: tuple[Candidate, Evaluation] | None
    outcome: str


def programs(folder: Path) -> list[One]:
    """Return what a run judged, in order; what it began with is not among it."""
    with Journal.read(folder) as journal:
        events = list(journal.events())
    proposed = {e.number: e.candidate for e in events if isinstance(e, Proposed)}
    judged = [(proposed[e.number], e.evaluation) for e in events if isinstance(e, Judged)]
    passed: dict[str, tuple[Candidate, Evaluation]] = {}
    met: set[str | None] = set()
    best, found = float("inf"), []
    for candidate, e in judged:
        parent = next((passed[p] for p in candidate.parents if p in passed), None)
        if candidate.operator not in GIVEN:
            found.append(One(candidate, e, parent, outcome(e, parent, met, best)))
        if e.passed:
            passed.setdefault(candidate.id, (candidate, e))
            met.add(e.program)
            counts = e.confirmed or e.basis is Basis.PREDICTED or candidate.operator in GIVEN
            best = min(best, e.score_us) if counts else best
    return found


def outcome(e: Evaluation, parent: tuple[Candidate, Evaluation] | None, met: set[str | None], best: float) -> str:
    """Say what a program came to."""
    if not e.passed:
        return "failed"
    if e.program in met:
        return "known"
    if (e.confirmed or e.basis is Basis.PREDICTED) and e.score_us < 0.99 * best:
        return "best"
    times = e.score_us / parent[1].score_us if parent is not None else 1.0
    steps = (("faster", 0.99), ("equal", 1.01), ("to 1.1 slower", 1.1), ("to 1.5 slower", 1.5))
    return next((name for name, most in steps if times < most), "slower yet")


def idle(one: One) -> bool:
    """Tell whether a change is of kernels alone that ran in no case of the parent."""
    if one.parent is None:
        return False
    source, ran = one.parent[0].source, frozenset(k.symbol for k in one.parent[1].kernels)
    if one.candidate.operator in KNOBS:
        before, after = knobs.values(source), knobs.values(one.candidate.source)
        moved = {name for name, value in after.items() if before.get(name) != value}
        return bool(moved) and not moved & {k.name for k in alive(knobs.find(source, "cuda"), ran)}
    family = FAMILY.get(one.candidate.intent.partition(":")[0])
    if one.candidate.operator != REWRITE or family is None:
        return False
    program = read(source)
    sites = program.places(family)
    gone = [site for site in sites if site not in reached(program, sites, ran)]
    return any(apply(program, [site]) == one.candidate.source for site in gone)


def shape(archive: Archive) -> str:
    """Say how many kernels the best program of a run holds, and how many of them ran in some case."""
    assert archive.best is not None, "a run whose seed passed has a best program"
    best = archive[archive.best]
    ran = {k.symbol for k in best.evaluation.kernels}
    return f"{len(read(best.candidate.source).kernels)} kernels, {len(ran)} of them ran"


def main() -> None:
    """Print what became of evaluations, by arm and operator, and run by run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--least", type=int, default=100, help="evaluations of a run that counts")
    given = parser.parse_args()
    came: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    for file in sorted(given.folder.glob("*/journal.db")):
        found = programs(file.parent)
        if len(found) < given.least:
            continue
        state = runs.read(file.parent)
        arm = "rewrites" if REWRITE in state.settings.operators else "knobs alone"
        share = sum(map(idle, found)) / len(found)
        said = f"{len(found)} judged, {share:.0%} idle; best: {shape(state.search.archive)}"
        print(f"{state.task.name:<24}{arm:<13}{said}", flush=True)
        for one in found:
            came[arm, one.candidate.operator][one.outcome] += 1
    print(f"\n{'arm':<13}{'operator':<15}{'judged':>8}" + "".join(f"{name:>15}" for name in OUTCOMES))
    for (arm, operator), counts in sorted(came.items()):
        whole = sum(counts.values())
        print(f"{arm:<13}{operator:<15}{whole:>8}" + "".join(f"{counts[name] / whole:>15.0%}" for name in OUTCOMES))


if __name__ == "__main__":
    main()
