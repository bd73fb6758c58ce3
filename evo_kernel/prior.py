"""What searches of other tasks saw of rewrites on a chip, which comes with evo-kernel: families are drawn by it first.

`priors/TARGET.json` is what `benchmarks/rewrites_prior.py` gathered from measured runs; it names them. A task's own
searches are left out of what a run of it begins with, so that a study on those tasks shows what others teach.
"""

import json
from pathlib import Path

from evo_kernel.config import Settings
from evo_kernel.credit import NOTHING, Counts, Outcome, added
from operators.catalogue import REWRITE

FOLDER = Path(__file__).parent / "priors"


def begun_with(settings: Settings, task: str) -> tuple[Outcome, ...]:
    """Return what a run may begin with: it was measured, so runs that predict times get none of it."""
    if not settings.prior or settings.basis != "measured" or REWRITE not in settings.operators:
        return ()
    return outcomes(settings.target, task)


def outcomes(target: str, task: str) -> tuple[Outcome, ...]:
    """Return how often each family gained, how much, and how often not, by kind of kernel, on tasks of other names."""
    file = FOLDER / f"{target}.json"
    if not file.exists():
        return ()
    found: dict[tuple[str, str], Counts] = {}
    for name, rows in json.loads(file.read_text())["tasks"].items():
        for kernel, family, *counts in rows if name != task else ():
            found[kernel, family] = added(found.get((kernel, family), NOTHING), counts)
    return tuple((target, *key, *counts) for key, counts in sorted(found.items()))
